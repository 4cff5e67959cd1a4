# shellcheck shell=bash disable=SC2034 # tests use what is set here
# Deferred work, for its tests.
load ../registry

later() {
    cat >later.ini <<'INI'
[mail]
importance = postponable
attempts = 2
wait = none
retry_on = any
defer_wait = 1h

[soon]
extends = mail
defer_wait = 1ms
defer_wait_max = 1ms

[sale]
importance = mandatory
attempts = 1
retry_on = any
INI
    bide apply later.ini >/dev/null
}

# Ends a process that a failed test left running.
teardown() {
    if [ -n "${pid:-}" ]; then
        kill -KILL "$pid" 2>/dev/null || true
    fi
}

# put NAME TEXT [OPTION...]: stores TEXT as work of the policy NAME.
put() {
    local name=$1 text=$2
    shift 2
    printf %s "$text" | bide deferred put "$name" "$@"
}

# count STATE [NAME]: prints how many pieces are in STATE.
count() {
    bide deferred stats "${2:-mail}" --json |
        python3 -c "import json, sys
print(json.load(sys.stdin)['policies'][0]['$1'])"
}

# replay ARGUMENT...: in the background, as process $pid, with its output in the
# file $out ("out").
replay() {
    "$BIDE" --dir "$DIR" deferred replay mail "$@" >"${out:-out}" 2>&1 3>&- &
    pid=$!
}

# Succeeds while a call of mail waits for its next attempt.
waits() {
    bide list mail --json | grep -q '"sleeping":1'
}

is_leased() {
    [ "$(count leased)" -eq 1 ]
}
