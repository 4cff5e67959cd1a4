#!/usr/bin/env bats
# Probes of the library, and the hooks of bide_log.h.
load programs

@test "the library has its probes, with the formats of their arguments" {
    needs readelf
    readelf -n "$BUILD/libbide.so" >notes
    grep -q 'Provider: bide' notes || skip "needs systemtap-sdt-dev when it is built"
    python3 -S - "$TOP" <<'END'
import re, sys
notes = open("notes").read()
found = re.findall(r"Provider: bide\n *Name: (\w+)\n.*Semaphore: 0x0+\n *Arguments: (.*)", notes)
# The size of each argument, - if it is signed, as lib/registry/probe.h lists them.
expected = {"attempt": r"8 -?4 8 8", "wait": r"8 4 8 8", "verdict": r"8 -?4 -?4 -?4 8", "change": r"8 4 4"}
assert {name for name, _ in found} == set(expected), found
for name, arguments in found:
    sizes = " ".join(re.match(r"-?\d", a).group() for a in arguments.split())
    assert re.fullmatch(expected[name], sizes), (name, arguments)
counts = {name: sum(n == name for n, _ in found) for name in expected}
assert counts["attempt"] >= 3 and counts["verdict"] >= 3, counts
END
}

@test "the script of bpftrace is valid, and has the names of the header" {
    script=$BUILD/bide.bt
    grep -q '^usdt:/.*/libbide.so.0:bide:attempt$' "$script"
    python3 -S - "$TOP/include/bide_outcome.h" "$script" <<'END'
import re, sys
header, script = (open(path).read() for path in sys.argv[1:])
shown = {kind: {} for kind in ("domain", "verdict", "reason")}
for kind, number, name in re.findall(r'@(\w+)\[(\d+)\] = "(\w+)"', script):
    shown[kind][number] = name
for kind in ("verdict", "reason"):
    table = re.search(rf"#define BIDE_{kind.upper()}S\(ROW\)(.*?)\n\n", header, re.S).group(1)
    assert shown[kind] == dict(re.findall(r'(\d+), "(\w+)"', table)), shown[kind]
domains = re.findall(r"BIDE_DOMAIN_(\w+) = (\d+)", header)
assert shown["domain"] == {number: name.lower() for name, number in domains}, shown["domain"]
END
    needs bpftrace
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    sed "s|usdt:[^:]*|usdt:$BUILD/libbide.so|" "$script" >here.bt
    readelf -n "$BUILD/libbide.so" | grep 'Provider: bide' >/dev/null || skip "needs systemtap-sdt-dev when it is built"
    bpftrace -d here.bt >syntax 2>&1 || true # compiles it, and attaches nothing
    says_not "ERROR: $(cat syntax)"
    grep -q "AST after: Semantic" syntax
    run grep "here.bt:.*ERROR" syntax
    [ "$status" -eq 1 ]
}

@test "bpftrace shows attempts, waits, verdicts and changes while they happen" {
    needs bpftrace gcc readelf
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    readelf -n "$BUILD/libbide.so" | grep 'Provider: bide' >/dev/null || skip "needs systemtap-sdt-dev when it is built"
    # A probe that does not depend on ours.
    bpftrace -e "uprobe:$BUILD/libbide.so:bide_open { } BEGIN { exit(); }" >tried 2>&1 &&
        grep -q "^Attaching 2" tried || skip "needs a kernel that lets bpftrace attach"
    printf '[p]\nattempts = 2\nwait = fixed\nwait_initial = 3ms\nwait_jitter = none\nretry_on = any\n' |
        bide apply - >/dev/null
    cat >fail.c <<'END'
#include <bide.h>
#include <errno.h>
#include <stddef.h>

static struct bide_outcome
fail(const struct bide_attempt *attempt, void *arg)
{
    (void)arg;
    return attempt->number < 3 ? bide_errno(ECONNRESET) : bide_ok();
}

int
main(int argc, char **argv)
{
    struct bide_policy *p;
    struct bide *b;

    return argc < 2 || bide_open(argv[1], 0, &b) || bide_lookup(b, "p", NULL, &p) ||
           bide_run(p, fail, NULL) != BIDE_EXHAUSTED || bide_close(b);
}
END
    compile gcc fail fail.c
    sed "s|usdt:[^:]*|usdt:$BUILD/libbide.so|" "$BUILD/bide.bt" >here.bt
    bpftrace -B line here.bt >seen 2>words 3>&- &
    # Nothing is shown before all probes are attached.
    until grep -q "attempt 1 failed" seen && grep -q "exhausted" seen; do
        kill -0 $! || { cat words; false; }
        ./fail "$DIR"
    done
    ./fail "$DIR"
    kill -INT $!
    wait $! || true
    grep -E '^[0-9:]{8} [0-9]+ +fail +p: attempt 1 failed \(errno.104\), the next in 3 ms$' seen
    grep -E '^[0-9:]{8} [0-9]+ +fail +p: exhausted after 2 attempts, [0-9]+ ms \(attempts\)$' seen
    grep -E '^@attempts\[p\]: [0-9]+$' seen
    grep -q '^@took_us\[p\]:' seen
    run grep -E '@(domain|verdict|reason)' seen # the tables are not shown
    [ "$status" -eq 1 ]
}

# The program logs to standard error, in place of the system's log.
@test "bide_log.h: what fails and what changes is logged, with its priority" {
    cat >log.c <<'END'
#include <stdarg.h>
#include <stdio.h>
#ifdef JOURNAL
/* What <systemd/sd-journal.h> declares. */
#define SD_JOURNAL_FOREACH
static int __attribute__((format(printf, 1, 0)))
sd_journal_send(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    puts("");
    return 0;
}
#else
#define syslog log_here
static void log_here(int priority, const char *format, ...);
#endif
#include <bide_log.h>

#ifndef JOURNAL
static void __attribute__((format(printf, 2, 3)))
log_here(int priority, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    printf("<%d>", priority);
    vprintf(format, args);
    va_end(args);
    puts("");
}
#endif

static struct bide_outcome
fail(const struct bide_attempt *attempt, void *arg)
{
    return attempt->number < *(unsigned *)arg ? bide_http(503, NULL) : bide_ok();
}

int
main(int argc, char **argv)
{
    struct bide_hooks hooks;
    struct bide_options options = {.dir = argv[1], .hooks = &hooks, .hooks_size = sizeof(hooks)};
    struct bide_policy *p;
    struct bide *b;

    (void)argc;
    bide_log_hooks(&hooks);
    if (bide_open_with(&options, sizeof(options), &b) || bide_lookup(b, "pay", "eu", &p)) {
        return 1;
    }
    for (unsigned i = 1; i <= 3; i++) {
        bide_run(p, fail, &(unsigned){i});
    }
    if (argc > 2) {
        hooks.on_breaker(NULL, p, BIDE_BREAKER_OPEN);
        hooks.on_policy(NULL, p, BIDE_SOURCE_REGISTRY, 7);
        hooks.on_status(NULL, b, BIDE_EDAMAGED);
    }
    return bide_close(b);
}
END
    printf '[pay]\nattempts = 2\nwait_initial = 1ms\nwait_jitter = none\n' | bide apply - >/dev/null
    compile gcc "$T/log" -std=gnu11 -Wno-vla log.c
    gives 0 "$T/log" "$DIR" all
    output=$(sed 's/elapsed_ms=[0-9.]*/elapsed_ms=N/' <<<"$output")
    diff <(echo "$output") - <<'END'
<6>bide: wait policy=pay/eu outcome=http.503 attempts=1 wait_ms=1
<6>bide: succeeded policy=pay/eu outcome=ok attempts=2 elapsed_ms=N reason=none end=none
<6>bide: wait policy=pay/eu outcome=http.503 attempts=1 wait_ms=1
<4>bide: exhausted policy=pay/eu outcome=http.503 attempts=2 elapsed_ms=N reason=attempts end=aborted
<4>bide: breaker policy=pay/eu state=open
<5>bide: policy policy=pay/eu version=7
<3>bide: registry the registry is damaged
END
    compile gcc "$T/journal" -std=gnu11 -DJOURNAL log.c
    gives 0 "$T/journal" "$DIR"
    says "MESSAGE=bide: wait policy=pay/eu outcome=http.503 attempts=1 wait_ms=1"
}
