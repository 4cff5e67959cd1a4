#!/usr/bin/env bats
# Containers that share a registry: each has a PID namespace of its own.
load ../registry

setup_file() {
    unshare --pid --fork --mount-proc true 2>/dev/null ||
        skip_all "needs PID namespaces"
}

container=(unshare --pid --fork --mount-proc --kill-child)

# inside ARGUMENTS: runs `bide` as process 1 of a new container.
inside() {
    "${container[@]}" "$BIDE" --dir "$DIR" "$@"
}

# failing LINES: applies a policy with them.
failing() {
    cat >pay.ini <<END
[pay]
retry_on = exit.9
wait = fixed
wait_jitter = none
$1
END
    bide apply pay.ini >/dev/null
}

@test "two services that are process 1 of their containers are two processes" {
    failing "attempts = 5
wait_initial = 0
breaker = on
breaker_consecutive = 2
breaker_min_processes = 2"
    gives 9 inside exec --quiet pay -- sh -c 'exit 9'
    gives 0 bide breaker pay
    says closed
    gives 9 inside exec --quiet pay -- sh -c 'exit 9'
    gives 0 bide breaker pay
    says open
}

@test "calls says which numbers are of another container, also of killed ones" {
    failing "attempts = 2
wait_initial = 1h"
    "${container[@]}" "$BIDE" --dir "$DIR" exec --quiet pay -- sh -c 'exit 9' 3>&- &
    until_it eval 'bide calls | grep -q "1 bide in another container"'
    gives 0 bide calls --json
    json 'j["calls"][0]["other_container"] and j["calls"][0]["pid"] == 1'
    kill -KILL $!
    wait $! || true
    gives 0 bide calls
    says "1 bide in another container" "1 call is waiting"
    "$BIDE" --dir "$DIR" exec --quiet pay -- sh -c 'exit 9' 3>&- &
    until_it eval 'bide calls | grep -q "2 calls are waiting"'
    gives 0 bide calls --json
    json "[c['other_container'] for c in j['calls'] if c['pid'] == $!] == [False]"
    gives 0 inside calls
    says "$! bide in another container" "2 calls are waiting"
    kill -KILL $!
    wait $! || true
    gives 0 bide calls
    says "1 call is waiting"
}

@test "a container does not free the probe of a living process outside" {
    failing "attempts = 1
breaker = on
breaker_consecutive = 1
breaker_open_for = 1ms
breaker_probes = 1
breaker_probe_timeout = 1h"
    gives 9 bide exec --quiet pay -- sh -c 'exit 9'
    "$BIDE" --dir "$DIR" exec --quiet pay -- sh -c 'echo >probing; exec sleep 1000' 3>&- &
    until_it test -e probing
    run inside exec --quiet pay -- touch made
    [ ! -e made ]
    run bide exec --quiet pay -- touch made
    [ ! -e made ]
    # The end of a process in its own namespace is seen at once.
    kill -KILL $!
    wait $! || true
    gives 0 bide exec --quiet pay -- touch made
    [ -e made ]
}

@test "a lock that is held in another container is said to be there" {
    bide apply <(echo '[pay]') >/dev/null
    exec 8<"$DIR/policies/registry.lock"
    flock 8
    printf '1 1 1 bide apply\n' >"$DIR/policies/registry.lock"
    gives 6 bide set pay attempts=9
    says "being written by pid 1 in another container (bide apply, for"
    exec 8<&-
    gives 0 bide set pay attempts=9
}

@test "names that are used in a container: list says so" {
    inside exec ghost -- true
    gives 0 bide list
    says "by pid 1 bide in another container"
    gives 0 bide list --json
    json 'j["policies"][0]["other_container"]'
}
