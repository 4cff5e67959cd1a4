# shellcheck shell=bash disable=SC2154 # run sets status and output
# A new registry for each test, and functions that check expectations.  BIDE is
# the path of the command.

bats_require_minimum_version 1.5.0

# skip_all REASON: skips all tests of a file.  For setup_file, where skip is a failure.
skip_all() {
    export SKIP=${SKIP:-$1}
}

# enter_test: enters the folder of the test, T; DIR is the registry's.
enter_test() {
    [ -z "${SKIP:-}" ] || skip "$SKIP"
    T=$BATS_TEST_TMPDIR
    DIR=$T/registry
    export T DIR LC_ALL=C.UTF-8 TZ=UTC
    cd "$T" || return 1
}

new_registry() {
    enter_test
    "$BIDE" --dir "$DIR" init --live "$T/live" >/dev/null
}

setup() {
    new_registry
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
# $output.  Without packages of the host (-S) Python starts a quarter faster.
json() {
    python3 -S -c "import json, sys
j = json.load(sys.stdin)
sys.exit(0 if ($1) else repr(j))" <<<"$output"
}

is_sanitized() {
    nm -D "$(dirname "$BIDE")/libbide.so" | grep -E "__(asan|tsan)_init" >/dev/null
}

# needs_plain_build: skips a test of what a sanitizer's runtime does not allow.
needs_plain_build() {
    ! is_sanitized || skip "needs a build without sanitizers"
}

# needs_host: skips all tests of a file about a host with users of its own.
needs_host() {
    [ "$(id -u)" -eq 0 ] || skip_all "needs root"
    command -v setpriv >/dev/null || skip_all "needs the package util-linux"
    unshare --mount true 2>/dev/null || skip_all "needs mount namespaces"
}

# admit_others: lets other users pass through the folder of the test.
admit_others() {
    chmod a+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$T"
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
    [ "$(stat -f -c %T "$BUILD")" != tmpfs ] || skip "needs a build folder on a disk"
    LIVE=$(mktemp -d "$BUILD/live-XXXXXX")
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

# example HEADING: prints the first example below a heading of bide(1).
example() {
    sed -n "/^\.SS \"*$1/,/^\.fi/p" "$TOP/cli/man/bide.1" | sed -e '1,/^\.nf/d' -e '/^\.fi/d' \
        -e 's/\\-/-/g' -e 's/\\e/\\/g'
}
