#!/usr/bin/env bats
# What must not stop bide serve: clients that hang, crowds, garbage.
load ../registry
load serving

# What the address sanitizer keeps of freed memory is no growth of the server.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:quarantine_size_mb=8"

# crowd CASE: of limits.py, against the server.
crowd() {
    python3 "$BATS_TEST_DIRNAME/limits.py" "$URL" "$SERVER" "$1"
}

@test "requests of any garbage" {
    shop
    serve
    crowd garbage
    end TERM
}

# Enough of an answer that no socket holds all of it.
many_policies() {
    local i
    for ((i = 0; i < 4000; i++)); do echo "[pay$i]"; done >many.ini
    bide apply many.ini >/dev/null
}

@test "a thousand connections at once that say nothing" {
    serve
    crowd silent
}

@test "a thousand connections at once that stop in the middle" {
    serve
    crowd half
    crowd body
}

@test "a thousand connections at once that do not read" {
    many_policies
    serve
    crowd unread
}

@test "a thousand requests at once: all are answered" {
    shop
    bide exec pay -- true
    serve
    crowd thousand
}

@test "a byte now and then keeps no place" {
    serve
    crowd trickle
    end TERM
}

@test "with few descriptors it serves fewer at a time" {
    (
        ulimit -n 64
        exec "$BIDE" --dir "$DIR" serve --listen 127.0.0.1:0 >where 2>said 3>&-
    ) &
    SERVER=$!
    until_it grep -q http where
    URL=$(sed -n 's,/$,,p' where)
    crowd silent
}
