"""The rows of the report of tests/bench/run, and their goals."""
CLOCKSOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"


def read(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


COUNTER = read(CLOCKSOURCE) in ("tsc", "arch_sys_counter")
SUCCESS_GOAL = 0.6 if COUNTER else 1.2
PERCENT, GIB = ("% of a core", 6e8), ("GiB", 2 ** 30)  # of a minute
NS, US, MS, S = ("ns", 1), ("us", 1e3), ("ms", 1e6), ("s", 1e9)

# Each row: name; id of the measurement; id of the measurement that it is compared
# with, or None; unit; goal: ("ratio", at most), ("value", at most, in the unit), or
# None.
SECTIONS = [
    ("A call that succeeds at once, against two clock readings", [
        ("two clock_gettime around an empty function", "clocks", None, NS, None),
        ("the empty function alone", "empty", "clocks", NS, None),
        ("bide_run", "run", "clocks", NS, ("ratio", SUCCESS_GOAL)),
        ("bide_run, with its result", "run_result", "clocks", NS, ("ratio", SUCCESS_GOAL)),
        ("BIDE_TRY", "try", "clocks", NS, ("ratio", SUCCESS_GOAL)),
        ("bide_step_begin, bide_step_ended", "step", "clocks", NS, ("ratio", SUCCESS_GOAL)),
        ("bide_run, 1,000 policies in turn", "run_1000", "clocks", NS, ("ratio", SUCCESS_GOAL)),
        ("bide_run, declared rules, no registry", "run_declared", "clocks", NS,
         ("ratio", SUCCESS_GOAL)),
        ("bide_run, a policy that is not defined", "run_missing", "clocks", NS,
         ("ratio", SUCCESS_GOAL)),
        ("bide_run, 2 threads on one policy", "run_threads", "clocks_threads", NS,
         ("ratio", SUCCESS_GOAL)),
        ("bide_run, with attempt_timeout", "run_limit", "clocks", NS, ("ratio", SUCCESS_GOAL)),
    ]),
    ("A call that succeeds, with a breaker or budget, against bide_run without", [
        ("with a breaker", "run_breaker", "run", NS, ("ratio", 1.5)),
        ("with a budget, full", "run_budget", "run", NS, ("ratio", 1.5)),
        ("with both", "run_both", "run", NS, ("ratio", 1.5)),
        ("with both, in a group with others", "run_group", "run", NS, ("ratio", 1.5)),
        ("with a budget that is not full", "run_drained", "run", NS, None),
    ]),
    ("One budget, shared: take and return tokens, against one atomic add", [
        ("an atomic add, 1 thread", "add_1", None, NS, None),
        ("1 thread", "budget_1", "add_1", NS, None),
        ("2 threads", "budget_2", "add_2", NS, None),
        ("4 threads", "budget_4", "add_4", NS, None),
        ("8 threads", "budget_8", "add_8", NS, None),
        ("2 processes", "budget_2p", "add_2p", NS, None),
    ]),
    ("A call that succeeds at once, other libraries, against bide_run", [
        ("Tenacity (Python)", "tenacity", "run", NS, None),
        ("cockatiel: retry (Node)", "cockatiel", "run", NS, None),
        ("cockatiel: retry and breaker", "cockatiel_breaker", "run", NS, None),
        ("opossum: breaker (Node)", "opossum", "run", NS, None),
        ("exponential-backoff (Node)", "exponential_backoff", "run", NS, None),
        ("async-retry (Node)", "async_retry", "run", NS, None),
        ("p-retry (Node)", "p_retry", "run", NS, None),
        ("an empty async function (Node)", "node_empty", "run", NS, None),
        ("cenkalti/backoff (Go)", "go_backoff", "run", NS, None),
        ("avast/retry-go (Go)", "go_retry", "run", NS, None),
        ("backoff (Rust)", "rust_backoff", "run", NS, None),
        ("retry (Rust; reads no clock)", "rust_retry", "run", NS, None),
    ]),
    ("A failed attempt without a wait, against two clock readings", [
        ("bide: each of 1,000 failures in one call", "fail_1000", "clocks", NS, None),
        ("bide: 2 failures, then success: per failure", "fail_twice", "clocks", NS, None),
        ("bide: a call with one attempt, which fails", "fail_once", "clocks", NS, None),
        ("Tenacity (Python): 2 failures, against bide", "tenacity_fail", "fail_twice", NS, None),
        ("cenkalti/backoff (Go): 2 failures, against bide", "go_backoff_fail", "fail_twice", NS,
         None),
    ]),
    ("A call of Python that succeeds at once, against Tenacity", [
        ("a bare function", "python_empty", "python_tenacity", NS, None),
        ("a guarded function", "python_bide", "python_tenacity", NS, ("ratio", 0.025)),
        ("a guarded block", "python_bide_block", "python_tenacity", NS, None),
        ("a bare coroutine", "python_empty_async", "python_tenacity_async", NS, None),
        ("a guarded coroutine", "python_bide_async", "python_tenacity_async", NS,
         ("ratio", 0.025)),
        ("2 failures without a wait, then success: per failure", "python_bide_fail",
         "python_tenacity_fail", NS, None),
    ]),
    ("A transfer of libcurl, 200 at once in one thread, from a local server", [
        ("curl_multi_perform, curl_multi_poll", "curl_multi", None, US, None),
        ("bide_curl.h", "curl_multi_bide", "curl_multi", US, ("ratio", 1.1)),
    ]),
    ("A look-up by name", [
        ("bide: 10 policies", "lookup_few", None, NS, ("value", 60)),
        ("bide: 1,000 used of {many}", "lookup_some", "lookup_few", NS, ("value", 60)),
        ("bide: all of {many}, against 10", "lookup_many", "lookup_few", NS, ("value", 60)),
        ("bide: first look-up of a name, of 10", "first_few", "lookup_few", NS, None),
        ("bide: first look-up of a name, of {many}", "first_many", "lookup_few", NS, None),
        ("stat() of a file", "stat", "lookup_some", NS, None),
        ("SQLite, prepared, WAL, {many} records", "sqlite", "lookup_some", NS, None),
        ("redis over its unix socket, {many} records", "redis", "lookup_some", NS, None),
        ("inih: reading a file of 10 sections", "ini_10", "lookup_some", NS, None),
        ("inih: reading a file of 1,000 sections", "ini_1000", "lookup_some", NS, None),
    ]),
    ("From a change to the next attempt of a waiting call in another process", [
        ("bare futex, 1 sleeper, p50", "futex_1_p50", None, US, None),
        ("bare futex, 1 sleeper, p99", "futex_1_p99", None, US, None),
        ("bide, from the commit, 1 sleeper, p50", "commit_1_p50", "futex_1_p50", US,
         ("value", 100)),
        ("bide, from the commit, 1 sleeper, p99", "commit_1_p99", "futex_1_p99", US, None),
        ("bide, from the wake, 1 sleeper, p50", "wake_1_p50", "futex_1_p50", US, None),
        ("bide, with the commit, 1 sleeper, p50", "set_1_p50", "futex_1_p50", US, None),
        ("bide, with the commit, 1 sleeper, p99", "set_1_p99", "futex_1_p99", US, None),
        ("from the start of `bide set`, 1 sleeper, p50", "command_1_p50", "futex_1_p50", US,
         None),
        ("from the start of `bide set`, 1 sleeper, p99", "command_1_p99", "futex_1_p99", US,
         None),
        ("bare futex, {crowd} sleepers, p50", "futex_N_p50", None, US, None),
        ("bare futex, {crowd} sleepers, p99", "futex_N_p99", None, US, None),
        ("bide, from the commit, {crowd} sleepers, p50", "commit_N_p50", "futex_N_p50", US,
         ("ratio", 2)),
        ("bide, from the commit, {crowd} sleepers, p99", "commit_N_p99", "futex_N_p99", US, None),
        ("bide, from the wake, {crowd} sleepers, p50", "wake_N_p50", "futex_N_p50", US, None),
    ]),
    ("Deferred work: storing one piece on the disk", [
        ("bide: 1 thread, against the fastest below", "bide_put_1", "peers_put_1", US,
         ("ratio", 1)),
        ("  SQLite, a table, WAL, synchronous=FULL", "sqlite_put_1", "bide_put_1", US, None),
        ("  redis, a stream, appendfsync always", "redis_put_1", "bide_put_1", US, None),
        ("  beanstalkd -f0", "beanstalkd_put_1", "bide_put_1", US, None),
        ("bide: 8 threads, against the fastest below", "bide_put_8", "peers_put_8", US,
         ("ratio", 1)),
        ("  SQLite, a table, WAL, synchronous=FULL", "sqlite_put_8", "bide_put_8", US, None),
        ("  redis, a stream, appendfsync always", "redis_put_8", "bide_put_8", US, None),
        ("  beanstalkd -f0", "beanstalkd_put_8", "bide_put_8", US, None),
        ("bide: 4 processes, against the fastest below", "bide_put_4p", "peers_put_4p", US,
         ("ratio", 1)),
        ("  SQLite, a table, WAL, synchronous=FULL", "sqlite_put_4p", "bide_put_4p", US, None),
        ("  redis, a stream, appendfsync always", "redis_put_4p", "bide_put_4p", US, None),
        ("  beanstalkd -f0", "beanstalkd_put_4p", "bide_put_4p", US, None),
    ]),
    ("Deferred work: taking one piece under a lease and acknowledging it", [
        ("bide: 1 thread, against the fastest below", "bide_done_1", "peers_done_1", US,
         ("ratio", 1)),
        ("  SQLite, a table, WAL, synchronous=FULL", "sqlite_done_1", "bide_done_1", US, None),
        ("  redis, a stream, appendfsync always", "redis_done_1", "bide_done_1", US, None),
        ("  beanstalkd -f0", "beanstalkd_done_1", "bide_done_1", US, None),
        ("bide: 8 threads, against the fastest below", "bide_done_8", "peers_done_8", US,
         ("ratio", 1)),
        ("  SQLite, a table, WAL, synchronous=FULL", "sqlite_done_8", "bide_done_8", US, None),
        ("  redis, a stream, appendfsync always", "redis_done_8", "bide_done_8", US, None),
        ("  beanstalkd -f0", "beanstalkd_done_8", "bide_done_8", US, None),
        ("bide: 4 processes, against the fastest below", "bide_done_4p", "peers_done_4p", US,
         ("ratio", 1)),
        ("  SQLite, a table, WAL, synchronous=FULL", "sqlite_done_4p", "bide_done_4p", US, None),
        ("  redis, a stream, appendfsync always", "redis_done_4p", "bide_done_4p", US, None),
        ("  beanstalkd -f0", "beanstalkd_done_4p", "bide_done_4p", US, None),
    ]),
    ("`bide apply`", [
        ("{tenth} new policies", "apply_10000", None, S, None),
        ("{many} new policies, against {tenth}", "apply_100000", "apply_10000", S, ("value", 3)),
        ("{many} again, none changed", "reapply_100000", "apply_100000", S, None),
        ("copying the registry's bytes to that disk, synced", "write_100000", "apply_100000", S,
         None),
    ]),
    ("History: {recorded} policies, recorded each minute", [
        ("CPU time, evaluation of warnings included", "record_cpu", None, PERCENT, ("value", 1)),
        ("size after a year, 2 calls a minute each", "record_2_year", None, GIB, ("value", 1)),
        ("  of that: 35 days of minutes", "record_2_minutes", None, GIB, None),
        ("size after a year, 10 calls a minute, unbounded", "record_10_year", None, GIB, None),
        ("  of that: 35 days of minutes", "record_10_minutes", None, GIB, None),
    ]),
    ("The page of `bide serve`: {recorded} policies in use", [("/api/now", "page_now", None, MS, ("value", 50))]),
    ("The start of a process", [
        ("an empty process, from its start to main", "process_empty", None, MS, None),
        ("from the start to the first decision", "process_first", "process_empty", MS,
         ("value", 1)),
        ("from main to the first decision", "main_first", "process_empty", MS, ("value", 1)),
    ]),
]
