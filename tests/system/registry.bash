# shellcheck shell=bash disable=SC2154 # run sets status and output
# A new registry for each test, and functions that check expectations.  BIDE is
# the path of the command.

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

# gives STATUS COMMAND...: runs the command and fails unless it exits with STATUS.
# Sets $output to what the command prints.
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

# says TEXT...: fails unless each text is in $output.
says() {
    local text
    for text; do
        [[ $output == *"$text"* ]] || {
            echo "missing in the output: $text"
            echo "$output"
            return 1
        }
    done
}

# says_not TEXT: fails if the text is in $output.
says_not() {
    [[ $output != *"$1"* ]]
}

# json EXPRESSION: fails unless the Python expression is true; j is the parsed
# $output.
json() {
    python3 -c "import json, sys
j = json.load(sys.stdin)
sys.exit(0 if ($1) else repr(j))" <<<"$output"
}

# needs_plain_build: skips a test of what a sanitizer's runtime does not allow.
needs_plain_build() {
    if nm -D "$(dirname "$BIDE")/libbide.so" | grep -E "__(asan|tsan)_init" >/dev/null; then
        skip "needs a build without sanitizers"
    fi
}

# under_clock OFFSET COMMAND...: runs bide under another clock.
under_clock() {
    needs_plain_build
    command -v faketime >/dev/null || skip "needs the package faketime"
    faketime -f "$1" "$BIDE" --dir "$DIR" "${@:2}"
}

# live_on_disk: makes the registry anew, with its live file in $LIVE, which outlives a
# boot; on a tmpfs nothing does.
live_on_disk() {
    LIVE=$(mktemp -d "$BUILD/live-XXXXXX")
    [ "$(stat -f -c %T "$LIVE")" != tmpfs ] || skip "needs a build folder on a disk"
    rm -rf "$DIR"
    "$BIDE" --dir "$DIR" init --live "$LIVE" >/dev/null
}

# shop: applies three policies: pay, order, and mail, which extends order.
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

# until_it COMMAND...: repeats the command every 50 ms until it succeeds, at most
# PATIENCE times.
until_it() {
    local i
    for ((i = 0; i < ${PATIENCE:-800}; i++)); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    echo "did not succeed in time: $*"
    return 1
}

# unchanged COMMAND...: fails if the command changes the policies.
unchanged() {
    local before after
    before=$(bide export)
    "$@" || return 1
    after=$(bide export)
    [ "$before" = "$after" ]
}
