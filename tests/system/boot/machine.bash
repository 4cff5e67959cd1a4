# shellcheck shell=bash disable=SC2034
# The Debian tree (tests/system/tree.sh), and a systemd that boots in it (machine.sh).

# find_tree: sets TREE to the path of the tree, or SKIP to the reason why no test
# can run: in setup_file nothing can be skipped.
find_tree() {
    export SKIP='' TREE=''
    if is_sanitized; then
        SKIP="needs a build without sanitizers"
    else
        TREE=$("$TOP/tests/system/tree.sh" "$BUILD") || SKIP=$TREE
    fi
}

# can_boot: reports that the kernel allows what machine.sh does.
can_boot() {
    unshare --mount --pid --fork --net --cgroup true 2>/dev/null
}

# boot STATE LOWER...: as machine.sh; waits until the units have started.
boot() {
    STATE=$1
    "$TOP/tests/system/boot/machine.sh" "$@" >"$STATE.log" 2>&1 3>&- &
    echo $! >"$STATE.script"
    until_it in_machine systemctl is-system-running --wait
}

# in_machine COMMAND...: runs a command beside the systemd that booted in $STATE.
in_machine() {
    nsenter --target "$(cat "$STATE/pid")" --all --wd=/ -- "$@"
}

# power_off STATE: ends the machine, if it was started.
power_off() {
    [ ! -e "$1.script" ] || kill "$(<"$1.script")"
}
