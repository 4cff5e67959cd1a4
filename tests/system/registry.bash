# shellcheck shell=bash disable=SC2154 # run sets status and output
# A fresh registry for each test, and words to say what is expected.
# BIDE is the path of the command.

bats_require_minimum_version 1.5.0

setup() {
    T=$BATS_TEST_TMPDIR
    DIR=$T/registry
    export T DIR LC_ALL=C.UTF-8 TZ=UTC
    cd "$T" || return 1
    "$BIDE" --dir "$DIR" init --live "$T/live" >/dev/null
}

bide() {
    "$BIDE" --dir "$DIR" "$@"
}

# gives STATUS COMMAND...: its exit status; what it printed is in $output.
gives() {
    local expected=$1
    shift
    run "$@"
    [ "$status" -eq "$expected" ] || {
        echo "status $status, not $expected: $*"
        echo "$output"
        return 1
    }
}

# says TEXT...: each of them is in $output.
says() {
    local text
    for text; do
        [[ $output == *"$text"* ]] || {
            echo "not said: $text"
            echo "$output"
            return 1
        }
    done
}

says_not() {
    [[ $output != *"$1"* ]]
}

# json EXPRESSION: true of the parsed output, which is called j.
json() {
    python3 -c "import json, sys
j = json.load(sys.stdin)
sys.exit(0 if ($1) else repr(j))" <<<"$output"
}

shop() {
    cat >shop.ini <<'END'
[pay]
attempts = 4
wait_max = 2s

[order]
importance = postponable
attempts = 5
wait_initial = 1s

[mail]
extends = order
attempts = unlimited
END
    bide apply shop.ini >/dev/null
}

# until_it COMMAND...: tried again until it succeeds, PATIENCE times at most.
until_it() {
    local i
    for ((i = 0; i < ${PATIENCE:-800}; i++)); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    echo "not in time: $*"
    return 1
}

# unchanged COMMAND...: whatever it does, not to the policies.
unchanged() {
    local before after
    before=$(bide export)
    "$@" || return 1
    after=$(bide export)
    [ "$before" = "$after" ]
}
