#!/usr/bin/env bats
# bide_curl.h, bide_uv.h and bide_event.h: the examples against a local server.
load programs

setup() {
    new_registry
    bide apply - >/dev/null <<'END'
[fetch]
attempts = 10
wait = fixed
wait_initial = 10ms
wait_jitter = none
retry_on = transient
END
    python3 "$TOP/tests/system/adapters/server.py" "$T/port" 3>&- &
    SERVER=$!
    until [ -e port ]; do sleep 0.02; done
    PORT=$(cat port)
    export BIDE_DIR=$DIR
}

teardown() {
    [ -z "${SERVER:-}" ] || kill "$SERVER"
}

# fetch EXAMPLE PATH COUNT: runs an example, which prints how the calls ended.
fetch() {
    if [ "$1" = fetch_many ]; then
        exec "$EXAMPLES/$1" "http://127.0.0.1:$PORT$2" "$3"
    else
        exec "$EXAMPLES/$1" "$PORT" "$2" "$3"
    fi
}

needs_example() {
    [ -x "$EXAMPLES/$1" ] || skip "needs $2"
}

# wait_for NUMBER: returns when so many calls wait.
wait_for() {
    until [ "$(bide calls --json | grep -o '"policy"' | wc -l)" -eq "$1" ]; do sleep 0.02; done
}

# stats KEY: prints a number of the policy.
stats() {
    bide stats fetch --json | python3 -S -c "import json, sys
p = json.load(sys.stdin)['policies'][0]
print(p.get('$1', p['calls'].get('$1')))"
}

# The server refuses the first 200 requests.
two_hundred() {
    needs_example "$@"
    gives 0 fetch "$1" /flaky/200 200
    [ "$output" = "200 succeeded" ]
    [ "$(stats attempts) $(stats retries)" = "400 200" ]
    gives 1 fetch "$1" /status/404 3 # rejected
    [ "$output" = "3 rejected" ]
}

# Calls that wait for an hour go on when the rules change.
follows() {
    needs_example "$@"
    bide set fetch wait_initial=1h wait_max=1h >/dev/null
    fetch "$1" /flaky/20 20 >out &
    wait_for 20
    bide set fetch wait_initial=1ms >/dev/null
    wait $!
    [ "$(cat out)" = "20 succeeded" ]
}

# Attempts end at their time limit.
is_limited() {
    needs_example "$@"
    bide set fetch attempts=2 attempt_timeout=50ms >/dev/null
    gives 1 fetch "$1" /hang 5
    [ "$output" = "5 exhausted" ]
    [ "$(stats attempts)" = 10 ]
}

# Half of the calls wait, and half have an attempt in progress.
closes() {
    needs_example "$@"
    bide set fetch wait_initial=1h wait_max=1h >/dev/null
    fetch "$1" /half 20 >out 2>err &
    wait_for 10
    until [ "$(curl -s "http://127.0.0.1:$PORT/seen")" -eq 20 ]; do sleep 0.02; done
    kill -TERM $!
    wait $! || [ $? -eq 1 ]
    cat err
    [ "$(cat out)" = "20 cancelled" ] && [ ! -s err ]
    [ "$(stats cancelled)" = 20 ]
    wait_for 0
}

@test "libcurl: status, code and Retry-After are outcomes; only the last answer is kept" {
    needs_example fetch libcurl4-openssl-dev
    url=http://127.0.0.1:$PORT
    run --separate-stderr "$EXAMPLES/fetch" "$url/flaky/2"
    [ "$output" = "done" ] && [ "$stderr" = "succeeded after 3 attempts: http.200" ]
    gives 1 "$EXAMPLES/fetch" http://127.0.0.1:1
    [ "$output" = "exhausted after 10 attempts: curl.7" ]
    gives 1 "$EXAMPLES/fetch" "$url/status/404"
    [ "$output" = "rejected after 1 attempts: http.404" ]

    bide set fetch deadline=1h >/dev/null # Retry-After would pass it
    gives 1 "$EXAMPLES/fetch" "$url/after/503/7200"
    [ "$output" = "exhausted after 1 attempts: http.503" ]
    for none in 0 Sun,%2006%20Nov%201994%2008:49:37%20GMT; do
        gives 1 "$EXAMPLES/fetch" "$url/after/503/$none"
        [ "$output" = "exhausted after 10 attempts: http.503" ]
    done

    bide set fetch attempt_timeout=50ms attempts=2 >/dev/null
    gives 1 "$EXAMPLES/fetch" "$url/hang"
    [ "$output" = "exhausted after 2 attempts: curl.28" ]
}

@test "libcurl: 200 transfers in one thread" {
    two_hundred fetch_many libcurl4-openssl-dev
}

@test "libcurl: waiting transfers follow a change" {
    follows fetch_many libcurl4-openssl-dev
}

@test "libcurl: transfers end at their time limit" {
    is_limited fetch_many libcurl4-openssl-dev
}

@test "libcurl: closing in mid-flight leaves no call open" {
    closes fetch_many libcurl4-openssl-dev
}

@test "libcurl: the limit of an attempt ends with it, and a transfer's end may close all" {
    needs gcc
    needs_module libcurl
    cat >again.c <<'END'
#include <bide_curl.h>
#include <assert.h>
#include <stdio.h>

static struct bide_curl_multi many;
static int ended;

static void
end_one(struct bide_loop_call *c, const struct bide_result *r)
{
    (void)c;
    ended += r->verdict == BIDE_EXHAUSTED;
}

static void
end_all(struct bide_loop_call *c, const struct bide_result *r)
{
    (void)c;
    ended += r->verdict == BIDE_EXHAUSTED || r->verdict == BIDE_CANCELLED;
    bide_curl_close(&many);
}

int
main(int argc, char **argv)
{
    struct bide_curl_transfer t = {0}, other = {0};
    struct bide_call call = {0};
    struct bide_policy *limited, *unlimited;
    struct bide *b;
    CURL *easy = curl_easy_init();

    assert(argc == 3 && !bide_open(NULL, 0, &b));
    assert(!bide_declare(b, "[limited]\nattempt_timeout = 20ms\n[unlimited]\n"));
    assert(!bide_lookup(b, "limited", NULL, &limited));
    assert(!bide_lookup(b, "unlimited", NULL, &unlimited));
    curl_easy_setopt(easy, CURLOPT_URL, argv[1]);
    assert(bide_curl_perform(&call, limited, easy, NULL, NULL) == BIDE_EXHAUSTED);
    curl_easy_setopt(easy, CURLOPT_URL, argv[2]);
    puts(bide_verdict_name(bide_curl_perform(&call, unlimited, easy, NULL, NULL)));

    assert(!bide_curl_init(&many, b));
    curl_easy_setopt(easy, CURLOPT_URL, argv[1]);
    t.easy = easy;
    t.call.done = end_one;
    assert(!bide_curl_start(&many, &t, limited));
    while (bide_curl_turn(&many, -1) > 0) {
    }
    curl_easy_setopt(easy, CURLOPT_URL, argv[2]);
    puts(bide_verdict_name(bide_curl_perform(&call, unlimited, easy, NULL, NULL)));

    curl_easy_setopt(easy, CURLOPT_URL, argv[1]);
    other.easy = curl_easy_duphandle(easy);
    t.call.done = other.call.done = end_all;
    assert(!bide_curl_start(&many, &t, limited));
    assert(!bide_curl_start(&many, &other, unlimited));
    assert(bide_curl_turn(&many, -1) == 2);
    while (bide_curl_turn(&many, -1) > 0) {
    }
    assert(bide_curl_turn(&many, -1) == 0 && !many.multi);
    printf("%d ended, %d running\n", ended, bide_close(b));
    curl_easy_cleanup(other.easy);
    curl_easy_cleanup(easy);
    return 0;
}
END
    # shellcheck disable=SC2046 # options
    compile gcc again again.c $(pkg-config --cflags --libs libcurl)
    MALLOC_PERTURB_=165 gives 0 ./again "http://127.0.0.1:$PORT/hang" "http://127.0.0.1:$PORT/late"
    [ "$output" = "$(printf '%s\n' done succeeded done succeeded '3 ended, 0 running')" ]
}

@test "libuv: 200 calls in one thread" {
    two_hundred fetch_uv libuv1-dev
}

@test "libuv: waiting calls follow a change" {
    follows fetch_uv libuv1-dev
}

@test "libuv: attempts end at their time limit" {
    is_limited fetch_uv libuv1-dev
}

@test "libuv: closing in mid-flight leaves no call open" {
    closes fetch_uv libuv1-dev
}

@test "libevent: 200 calls in one thread" {
    two_hundred fetch_event libevent-dev
}

@test "libevent: waiting calls follow a change" {
    follows fetch_event libevent-dev
}

@test "libevent: attempts end at their time limit" {
    is_limited fetch_event libevent-dev
}

@test "libevent: closing in mid-flight leaves no call open" {
    closes fetch_event libevent-dev
}
