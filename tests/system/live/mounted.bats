#!/usr/bin/env bats
# Containers with mounts, users, processes and a network of their own that share the
# registry of the host.
load ../registry

setup_file() {
    [ "$(id -u)" -eq 0 ] || skip_all "needs root, to mount"
    unshare --mount --pid --fork --net true 2>/dev/null || skip_all "needs namespaces"
}

# The host's registry is $T/host/bide, its live directory $T/host/run.
setup() {
    enter_test
    DIR=$T/host/bide
    admit_others
    mkdir host
    "$BIDE" --dir "$DIR" init --live "$T/host/run" --group 4242 >/dev/null
    cat >pay.ini <<'END'
[pay]
attempts = 2
retry_on = exit.9
wait_initial = 1h
wait_max = 1h
breaker = on
breaker_consecutive = 9
END
    bide apply pay.ini >/dev/null
    # Nothing of the host is in a container but the registry, at another path, and its
    # live directory, at the path that the registry names.
    cat >container.sh <<'END'
set -e
mkdir -p "$T/srv/bide" "$T/kept"
mount --bind $RO "$T/host/bide" "$T/srv/bide"
mount --bind $RO "$T/host/run" "$T/kept"
mount -t tmpfs -o mode=755 tmpfs "$T/host"
if [ -z "$FORGOTTEN" ]; then
    mkdir "$T/host/run"
    mount --move "$T/kept" "$T/host/run" 2>/dev/null || mount --bind $RO "$T/kept" "$T/host/run"
fi
umount "$T/kept" 2>/dev/null || true
export BIDE_DIR=$T/srv/bide
exec "$@"
END
    cat >as <<'END'
#!/bin/bash
exec setpriv --reuid="$1" --regid=4242 --clear-groups "$BIDE" "${@:2}"
END
    chmod +x as
}

# container COMMAND...: runs it in a new container.  RO=-oro: with read-only mounts;
# FORGOTTEN=1: without the live directory.
container() {
    RO=${RO:-} FORGOTTEN=${FORGOTTEN:-} unshare --mount --pid --fork --mount-proc --net --kill-child \
        bash container.sh "$@" 3>&-
}

@test "containers and the host share counts, breakers and changes" {
    for user in 4343 4344; do
        gives 0 container ./as $user exec pay -- true
    done
    bide exec pay -- true
    gives 0 bide stats pay --json
    json 'j["policies"][0]["calls"]["succeeded"] == 3'
    gives 0 container "$BIDE" doctor
    container ./as 4343 exec --quiet pay -- sh -c 'exit 9' &
    until_it eval 'bide calls | grep -q "bide in another container"'
    bide breaker pay open >/dev/null
    # The call ends at once, without a second attempt.
    local status=0
    wait $! || status=$?
    [ "$status" -ne 0 ]
    gives 0 container "$BIDE" breaker pay
    says open
}

@test "the users of a container may be others: only the group is the host's" {
    # User 0 of the container is 104343 of the host.
    mkfifo go
    cat >mapped.sh <<'END'
read -r <go
[ "$(id -u)" = 0 ] && exec "$BIDE" exec --verbose pay -- true
END
    BIDE_DIR=$DIR setpriv --reuid=104343 --regid=4242 --clear-groups unshare --user bash mapped.sh 3>&- &
    exec 9>go
    until_it [ "$(readlink /proc/$!/ns/user)" != "$(readlink /proc/self/ns/user)" ]
    echo "0 104343 1" >/proc/$!/uid_map
    echo "4242 4242 1" >/proc/$!/gid_map
    echo >&9
    exec 9>&-
    wait $!
    gives 0 bide stats pay --json
    json 'j["policies"][0]["calls"]["succeeded"] == 1'
}

@test "a container with read-only mounts observes and changes nothing" {
    bide exec pay -- true
    bide record
    for command in list stats calls log "breaker pay" "stats pay --since -1h" metrics; do
        # shellcheck disable=SC2086 # words
        RO=-oro gives 0 container "$BIDE" $command
    done
    RO=-oro gives 0 container "$BIDE" stats pay --json
    json 'j["policies"][0]["calls"]["succeeded"] == 1'
    # An observer is in no group.
    RO=-oro gives 0 container setpriv --reuid=4545 --regid=4545 --clear-groups "$BIDE" stats pay
    says 100.00%
    RO=-oro gives 6 container "$BIDE" set pay attempts=9
    # A service goes on, and counts for itself.
    RO=-oro gives 0 container "$BIDE" exec pay -- true
    gives 0 bide stats pay --json
    json 'j["policies"][0]["calls"]["succeeded"] == 1'
}

@test "a live directory that was not mounted is said to be missing" {
    bide exec pay -- true
    FORGOTTEN=1 gives 0 container ./as 4343 exec --verbose pay -- true
    says "not counted"
    FORGOTTEN=1 gives 1 container "$BIDE" doctor
    says "$T/host/run is missing and services cannot make it"
    # Root makes one of its own, in which the others do not count.
    cat >root.sh <<'END'
"$BIDE" exec pay -- true
touch made
until [ -e recorded ]; do sleep 0.01; done
"$BIDE" doctor
"$BIDE" list
END
    FORGOTTEN=1 container bash root.sh >said 3>&- &
    until_it test -e made
    bide record
    touch recorded
    wait $!
    cat said
    grep -q "live is not the live file that is recorded: services elsewhere use another one" said
    grep -q "note: calls may not be counted: .*live is not the live file that is recorded" said
    run bide doctor
    says_not "recorded: services elsewhere"
}

@test "a container may have a registry of its own" {
    cat >own.sh <<'END'
set -e
mount -t tmpfs tmpfs /run
mkdir "$T/own"
mount -t tmpfs tmpfs "$T/own"
export BIDE_DIR=$T/own/bide
"$BIDE" init >/dev/null
"$BIDE" apply pay.ini >/dev/null
"$BIDE" exec pay -- true
"$BIDE" doctor
"$BIDE" stats pay --json
END
    gives 0 unshare --mount --pid --fork --mount-proc --net bash own.sh
    says "Nothing is wrong" '"succeeded":1'
    gives 0 bide stats pay
    says "No calls yet"
}
