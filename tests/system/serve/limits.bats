#!/usr/bin/env bats
# Clients that must not stop bide serve: hanging ones, many at once, garbage.
load ../registry
load serving

# Limits the freed memory that the address sanitizer keeps, so that it does not
# count as growth of the server.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:quarantine_size_mb=8"

# crowd CASE: runs a case of limits.py against the server.
crowd() {
    python3 "$BATS_TEST_DIRNAME/limits.py" "$URL" "$SERVER" "$1"
}

@test "garbage in requests does not stop the server" {
    shop
    serve
    crowd garbage
    end TERM
}

# Makes the answer larger than a socket's buffer.
many_policies() {
    local i
    for ((i = 0; i < 4000; i++)); do echo "[pay$i]"; done >many.ini
    bide apply many.ini >/dev/null
}

@test "a thousand silent connections do not block others" {
    serve
    crowd silent
}

@test "a thousand unfinished requests do not block others" {
    serve
    crowd half
    crowd body
}

@test "a thousand clients that do not read do not block others" {
    many_policies
    serve
    crowd unread
}

@test "a thousand requests at once are all answered" {
    shop
    bide exec pay -- true
    serve
    crowd thousand
}

@test "a client that sends a byte now and then is disconnected" {
    serve
    crowd trickle
    end TERM
}

@test "with few descriptors the server accepts fewer connections" {
    (
        ulimit -n 64
        exec "$BIDE" --dir "$DIR" serve --listen 127.0.0.1:0 >where 2>said 3>&-
    ) &
    SERVER=$!
    until_it grep -q http where
    URL=$(sed -n 's,/$,,p' where)
    crowd silent
}
