# shellcheck shell=bash
# Installs packages in an overlay of the Debian tree (tests/system/tree.sh), in
# namespaces of its own: all mounts and processes end with the test.

# begin_tree TREE STATE: mounts the overlay at STATE/root, with /proc, /run and /dev
# as on a host without systemd.  Sets INIT, its first process, and ROOT, the path of
# the tree from here.
begin_tree() {
    mkdir -p "$2/over" "$2/root"
    # shellcheck disable=SC2016 # the inner shell expands
    unshare --mount --propagation private --pid --fork --kill-child bash -c '
        set -e
        mount -t tmpfs -o mode=755 tmpfs "$2/over"
        mkdir "$2/over/up" "$2/over/work"
        mount -t overlay -o "lowerdir=$1,upperdir=$2/over/up,workdir=$2/over/work" overlay "$2/root"
        cd "$2/root"
        mount -t proc proc proc
        mount -t tmpfs -o mode=755 tmpfs run
        mount -t tmpfs -o mode=755 tmpfs dev
        for node in null:3 zero:5 full:7 random:8 urandom:9; do
            mknod -m 666 "dev/${node%:*}" c 1 "${node#*:}"
        done
        mkdir dev/pts dev/shm
        mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
        ln -s pts/ptmx dev/ptmx
        mount -t tmpfs -o mode=1777 tmpfs dev/shm
        touch "$2/begun"
        exec sleep infinity' _ "$1" "$2" 3>&- 2>"$2/log" &
    UNSHARE=$!
    until [ -e "$2/begun" ]; do
        kill -0 "$UNSHARE" || {
            cat "$2/log"
            return 1
        }
        sleep 0.05
    done
    INIT=$(ps -o pid= --ppid "$UNSHARE" | tr -d ' ')
    PLACE=$2/root
    ROOT=/proc/$INIT/root$PLACE
}

end_tree() {
    kill -9 "$INIT" # unshare ignores SIGTERM
    wait "$UNSHARE" || true
}

# inside COMMAND...: runs a command in the tree as root.
inside() {
    nsenter --target "$INIT" --mount --pid -- chroot "$PLACE" env -i \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root \
        LC_ALL=C.UTF-8 COLUMNS=100 DEBIAN_FRONTEND=noninteractive "$@"
}

# as USER COMMAND...: runs a command in the tree as a user, in /.
as() {
    inside runuser -u "$1" -- "${@:2}"
}
