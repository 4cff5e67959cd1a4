"""Guarded calls of Python: a bare function, bide, and Tenacity if it is installed,
in turn, round after round.

argv: the number of rounds.  Prints the best time of each call in ns."""
import asyncio
import sys
import time

import bide

try:
    import tenacity
except ImportError:
    tenacity = None

ROUNDS = int(sys.argv[1])
failures = 0


def empty():
    """Does nothing."""
    return 0


async def empty_async():
    """Does nothing."""
    return 0


def fail_twice():
    """Fails two times of three."""
    global failures
    failures += 1
    if failures % 3:
        raise ConnectionRefusedError


def block():
    """Runs an empty block."""
    for attempt in bide.policy("plain"):
        with attempt:
            pass


def guarded_by_tenacity(function, **wait):
    """Guards a function as users of Tenacity do."""
    return tenacity.retry(stop=tenacity.stop_after_attempt(5), **wait)(function)


# Name: the function, calls in a round, the part of a call that is reported.
SYNC = {
    "python_empty": (empty, 500, 1),
    "python_bide": (bide.policy("plain")(empty), 500, 1),
    "python_bide_block": (block, 60, 1),
    "python_bide_fail": (bide.policy("stubborn")(fail_twice), 30, 2),
}
ASYNC = {
    "python_empty_async": (empty_async, 500, 1),
    "python_bide_async": (bide.policy("plain")(empty_async), 500, 1),
}
if tenacity:
    waits = {"wait": tenacity.wait_random_exponential(0.1, max=10)}
    SYNC["python_tenacity"] = (guarded_by_tenacity(empty, **waits), 100, 1)
    SYNC["python_tenacity_fail"] = (guarded_by_tenacity(fail_twice, wait=tenacity.wait_none()), 9, 2)
    ASYNC["python_tenacity_async"] = (guarded_by_tenacity(empty_async, **waits), 100, 1)
best = dict.fromkeys((*SYNC, *ASYNC), float("inf"))


def keep(name, begin, calls, part):
    """Keeps the time of a call, if it is the best so far."""
    best[name] = min(best[name], (time.perf_counter_ns() - begin) / calls / part)


async def measure_async():
    """Measures the coroutines once."""
    for name, (function, calls, part) in ASYNC.items():
        begin = time.perf_counter_ns()
        for _ in range(calls):
            await function()
        keep(name, begin, calls, part)


for _ in range(ROUNDS):
    for name, (function, calls, part) in SYNC.items():
        begin = time.perf_counter_ns()
        for _ in range(calls):
            function()
        keep(name, begin, calls, part)
    asyncio.run(measure_async())
for name, ns in best.items():
    print(f"{name} {ns:.2f}")
