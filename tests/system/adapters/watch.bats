#!/usr/bin/env bats
# Each adapter, and a loop without one, listens to its watch.  The clock of the program
# stands still, so that nothing is ever due: without the watch its call never ends.
load programs

setup() {
    enter_test
    cat >watch.c <<'END'
#include HEADER
#include <assert.h>
#include <poll.h>
#include <stdio.h>

static int ended;

static uint64_t
stand_still(void *arg)
{
    (void)arg;
    return 1000000000;
}

static void
no_sleep(void *arg, uint64_t until_ns)
{
    (void)arg, (void)until_ns;
}

static void
fail(struct bide_loop_call *c, const struct bide_attempt *a)
{
    (void)a;
    bide_loop_ended(c, bide_errno(ECONNRESET));
}

static void
say(struct bide_loop_call *c, const struct bide_result *r)
{
    (void)c;
    ended = 1;
    printf("%s after %u\n", bide_verdict_name(r->verdict), r->attempts);
}

/* Begins a call that waits for an hour, and then cancels it. */
static void
begin(struct bide_loop *l, struct bide_loop_call *c, struct bide_policy *p)
{
    assert(!bide_loop_start(l, c, p) && l->calls == 1);
    bide_call_cancel(&c->call);
}

int
main(void)
{
    struct bide_clock clock = {NULL, stand_still, no_sleep};
    struct bide_options options = {0};
    struct bide_loop_call c = {0};
    struct bide_policy *p;
    struct bide *b;

    options.dir = "/dev/null/none";
    options.flags = BIDE_PRIVATE;
    options.clock = &clock;
    c.attempt = fail;
    c.done = say;
    assert(!bide_open_with(&options, sizeof(options), &b));
    assert(!bide_declare(b, "[p]\nwait = fixed\nwait_initial = 1h\nwait_max = 1h\n"
                            "retry_on = any\nattempts = 2\n"));
    assert(!bide_lookup(b, "p", NULL, &p));
    {
#include "loop.h"
    }
    return bide_close(b);
}
END
}

# hears HEADER MODULE LOOP: a loop of the header ends a call when its watch is readable.
hears() {
    needs gcc
    [ -z "$2" ] || needs_module "$2"
    printf '%s\n' "$3" >loop.h
    # shellcheck disable=SC2046 # options
    compile gcc watch watch.c -DHEADER="<$1>" ${2:+$(pkg-config --cflags --libs "$2")}
    gives 0 timeout 60 ./watch
    [ "$output" = "cancelled after 1" ]
}

@test "a loop without an adapter hears its watch" {
    hears bide_loop.h "" 'struct bide_loop l; struct pollfd f = {0};
        assert(!bide_loop_init(&l, b)); begin(&l, &c, p); f.fd = bide_watch_fd(l.watch); f.events = POLLIN;
        while (!ended) { poll(&f, 1, bide_loop_poll_ms(&l)); bide_loop_turn(&l, f.revents); }
        bide_loop_close(&l);'
}

@test "libcurl: the transfers of a thread hear their watch" {
    hears bide_curl.h libcurl 'struct bide_curl_multi m;
        assert(!bide_curl_init(&m, b)); begin(&m.loop, &c, p);
        while (bide_curl_turn(&m, -1) > 0) {}
        bide_curl_close(&m);'
}

@test "libuv: a loop hears its watch" {
    hears bide_uv.h libuv 'struct bide_uv u; uv_loop_t l;
        uv_loop_init(&l); assert(!bide_uv_init(&u, &l, b)); begin(&u.loop, &c, p);
        while (!ended) { uv_run(&l, UV_RUN_ONCE); }
        bide_uv_close(&u); uv_run(&l, UV_RUN_DEFAULT); uv_loop_close(&l);'
}

@test "libevent: a loop hears its watch" {
    hears bide_event.h libevent 'struct bide_event e; struct event_base *l = event_base_new();
        assert(!bide_event_init(&e, l, b)); begin(&e.loop, &c, p);
        while (!ended) { event_base_loop(l, EVLOOP_ONCE); }
        bide_event_close(&e); event_base_free(l);'
}
