#!/usr/bin/env bash
# Boots the systemd of a tree as process 1 of new namespaces, and again when it
# reboots, until it powers off or this script gets SIGTERM.  All that it writes is
# lost at the end, and nothing outside of STATE is changed.
#   machine.sh STATE LOWER...   the tree and what lies over it, the uppermost first
# STATE/pid is the process 1 of the present boot, for nsenter.
set -euo pipefail

if [ "$1" != inside ]; then
    state=$(realpath "$1")
    mkdir -p "$state"
    exec unshare --mount --propagation private "$0" inside "$state" "${@:2}"
fi
state=$2
IFS=:
lower="${*:3}"
unset IFS

# Runs as process 1: mounts what a container needs, and becomes systemd.  The nodes in
# /dev are its own, because systemd changes the modes of those that it finds.
# shellcheck disable=SC2016
boot='set -e
cd "$1/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs dev
node() { mknod -m "$2" "dev/$1" c "$3" "$4"; }
node null 666 1 3; node zero 666 1 5; node full 666 1 7
node random 666 1 8; node urandom 666 1 9; node tty 666 5 0
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
cat /proc/sys/kernel/random/uuid >run/boot_id # each boot has another one
mount --bind run/boot_id proc/sys/kernel/random/boot_id
mount -t cgroup2 cgroup2 sys/fs/cgroup
ip link set lo up 2>/dev/null || true
mkdir -p old
pivot_root . old # not chroot, which forbids user namespaces
umount -l old
exec env -i container=bide /lib/systemd/systemd --system --log-target=journal'

mkdir -p "$state/disk" "$state/cgroup"
mount -t tmpfs tmpfs "$state/disk"
mkdir "$state"/disk/{upper,work,root}
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$state/disk/upper,workdir=$state/disk/work" \
    "$state/disk/root"
mount -t cgroup2 cgroup2 "$state/cgroup"
group=$state/cgroup/bide-test-$$
machine=
remove_group() {
    while ! find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && [ -d "$group" ]; do
        sleep 0.01 # its last processes end
    done
}
end() {
    if [ -n "$machine" ]; then
        kill -KILL "$machine"
        wait "$machine" || true
    fi 2>/dev/null
    remove_group
}
trap end EXIT
trap 'exit 1' TERM INT
while :; do
    rm -f "$state/pid"
    mkdir "$group"
    # shellcheck disable=SC2016
    setpriv --pdeathsig KILL unshare --mount --pid --fork --uts --ipc --net --kill-child \
        bash -c 'echo $$ >"$2/cgroup.procs"; exec unshare --cgroup bash -c "$0" boot "$1"' \
        "$boot" "$state/disk" "$group" </dev/null &
    machine=$!
    inside=
    while [ -z "$inside" ]; do
        sleep 0.01
        inside=$(<"/proc/$machine/task/$machine/children")
    done
    echo "${inside% }" >"$state/pid"
    status=0
    wait "$machine" || status=$?
    machine=
    remove_group
    # 129: reboot (SIGHUP), 130: power off (SIGINT)
    [ "$status" = 129 ] || exit "$status"
done
