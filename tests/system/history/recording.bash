# shellcheck shell=bash
# Calls and recorders, for tests of the history.

# failing NAME TIMES, working NAME TIMES: makes calls that fail or succeed.
failing() {
    local i
    for ((i = 0; i < $2; i++)); do
        # shellcheck disable=SC2086 # it may have a scope
        bide exec --quiet $1 -- sh -c 'exit 9' || true
    done
}
working() {
    local i
    for ((i = 0; i < $2; i++)); do
        bide exec "$1" -- true
    done
}

pay() {
    shop
    bide set pay retry_on=exit.9 wait=none attempts=3 >/dev/null
}

# stop PID: ends a recorder, which must exit with status 0.
stop() {
    kill "$1"
    wait "$1"
}

# recorder OPTION...: starts a recorder in the background; its pid is $!.
recorder() {
    "$BIDE" --dir "$DIR" record "$@" 3>&- &
}

# recorded_after SECONDS: succeeds if something was recorded since then.
recorded_after() {
    bide stats --since -1h --json | python3 -c "import json, sys
sys.exit(0 if (json.load(sys.stdin)['recorded'] or 0) > $1 else 1)"
}

# a_recording: waits for a recording that begins after now.
a_recording() {
    until_it recorded_after "$(date +%s.%N)"
}
