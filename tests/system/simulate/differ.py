#!/usr/bin/env python3
"""Runs random policies and scripts through the command and through model.py.

usage: differ.py BIDE [CASES [SEED]].  Case N of a seed is always the same.  A case
whose events differ is made smaller and printed with both events.  The cases of
tests/vectors run through the model as well.
"""
import collections
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile

import model

BIDE = sys.argv[1]
CASES = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
SEED = sys.argv[3] if len(sys.argv) > 3 else "1"
VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../vectors")
TOLERANCE_MS = 0.001
SHOWN = 5

FAILED = ["app.x", "app.x", "app.x", "errno.ETIMEDOUT", "http.503", "http.429", "http.504",
          "grpc.UNAVAILABLE"]
OTHERS = ["app.y", "http.404"]
MOMENTS = [0, 1, 2, 5, 9, 10, 11, 20, 50, 100]
DRAWS = ["0", "0.25", "0.5", "0.75", "1"]


# ---- random cases ----

def ms(number):
    return f"{number}ms" if number else "0"


def waits(r):
    """Keys of waits, hints and stop rules, each in about half of the cases."""
    durations = [ms(n) for n in (0, 1, 2, 5, 10, 20, 50, 100)]
    return {
        "attempts": r.choice(["1", "2", "3", "4", "6", "unlimited"]),
        "max_elapsed": r.choice([ms(n) for n in (1, 10, 20, 50, 100)] + ["none"] * 5),
        "deadline": r.choice([ms(n) for n in (1, 10, 30, 50, 100)] + ["none"] * 5),
        "reset_after": r.choice([ms(n) for n in (5, 10, 50)] + ["none"] * 5),
        "wait": r.choice("none fixed linear polynomial exponential decorrelated chain".split()),
        "wait_initial": r.choice(durations), "wait_min": r.choice(durations[:4]),
        "wait_max": r.choice(durations[3:]),
        "wait_max_holds": r.choice(["result", "base"]),
        "wait_factor": r.choice(["1", "1.5", "2", "3"]),
        "wait_increment": r.choice(durations[:5]), "wait_power": r.choice(["0", "1", "2", "3"]),
        "wait_jitter": r.choice(["none", "none", "full", "equal", "20%", "50%", "+8ms"]),
        "free_retries": r.choice(["0", "1", "2"]),
        "retry_after": r.choice(["honor", "clamp", "cap", "ignore"]),
        "retry_after_max": r.choice(["0", "5ms", "20ms", "100ms", "36500d", "none"]),
        "retry_after_spread": r.choice(["0", "4ms", "20ms"]),
        "retry_after_growth": r.choice(["counts", "skips", "resets"]),
        "never_on": r.choice(["none", "http.404", "http.4xx"]),
        "success_on": r.choice(["none", "app.y"]),
        "throttle_on": r.choice(["throttle", "http.503", "http.429, http.504"]),
        "throttle_wait_initial": r.choice(durations),
        "throttle_wait_max": r.choice(durations[3:]),
        "importance": r.choice(["mandatory", "postponable", "optional"]),
    }


def tokens(r):
    return {
        "budget_capacity": r.choice(["5", "10", "20"]),
        "budget_cost": r.choice(["1", "2", "5"]),
        "budget_timeout_cost": r.choice(["1", "2", "4"]),
        "budget_throttle_cost": r.choice(["1", "3"]),
        "budget_charge": r.choice(["retry", "failure"]),
        "budget_deposit": r.choice(["0", "0.5", "1", "3"]),
        "budget_refund": r.choice(["0", "1", "1.5"]),
        "budget_refill": r.choice(["0/s", "10/s", "100/s"]),
        "budget_threshold": r.choice(["0%", "25%", "50%"]),
    }


def ratio(r):
    return {
        "budget_kind": "ratio",
        "budget_ratio": r.choice(["0%", "10%", "25%", "50%", "100%", "400%"]),
        "budget_min_rate": r.choice(["0/s", "10/s", "25/s"]),
        "budget_window": r.choice(["80ms", "160ms", "1600ms"]),
        "budget_earn": r.choice(["all", "success"]),
        "budget_charge": r.choice(["retry", "failure"]),
    }


def breaker(r):
    return {
        "breaker_failure_rate": r.choice(["10%", "25%", "50%", "75%", "100%"]),
        "breaker_consecutive": r.choice(["none", "none", "1", "2", "3", "5"]),
        "breaker_slow_after": r.choice(["none", "1ms", "5ms", "10ms"]),
        "breaker_slow_rate": r.choice(["25%", "50%", "100%"]),
        "breaker_window": r.choice(
            ["1 calls", "3 calls", "5 calls", "10 calls", "16ms", "80ms", "160ms", "1600ms"]),
        "breaker_min_calls": r.choice(["1", "2", "3", "5"]),
        "breaker_open_for": r.choice(["5ms", "10ms", "20ms", "50ms"]),
        "breaker_open_factor": r.choice(["1", "1", "1.5", "2"]),
        "breaker_open_max": r.choice(["50ms", "60ms", "100ms", "5m"]),
        "breaker_probes": r.choice(["1", "2", "3", "4"]),
        "breaker_probe_timeout": r.choice(["1ms", "5ms", "10ms", "50ms", "10s"]),
        "breaker_judge": r.choice(["always", "failure"]),
        "breaker_probe_failures": r.choice(["none", "none", "1", "2"]),
        "breaker_ignore": r.choice(["none", "none", "app.y, http.404", "errno.ETIMEDOUT"]),
    }


def some(r, keys, part):
    return {key: value for key, value in keys.items() if r.random() < part}


def random_policy(r):
    policy = {"retry_on": "any"}
    if r.random() < 0.2:
        policy["retry_on"] = "transient, app.x"
    policy.update(some(r, waits(r), r.choice([0.2, 0.5])))
    policy.setdefault("wait_initial", "10ms")
    policy["wait_chain"] = r.choice(["5ms", "1ms x2, 10ms", "2ms, 20ms x2, 4ms"])
    if r.random() < 0.4:
        policy["budget"] = "own"
        policy.update(some(r, r.choice([tokens, ratio])(r), 0.8))
    if r.random() < 0.5:
        policy["breaker"] = "on"
        policy.update(some(r, breaker(r), 0.8))
        policy.setdefault("breaker_window", "160ms")
        policy.setdefault("breaker_min_calls", "2")
        policy.setdefault("breaker_open_for", "20ms")
    if policy.get("budget_kind") == "ratio":
        policy.setdefault("budget_window", "160ms")
    return policy


# Keys that a settings line does not change: an attempt that has ended keeps its
# class, and what is left of a window of time depends on its slices.
FIXED = ("budget_kind", "budget_charge", "budget_window", "budget_earn",
         "reset_after", "throttle_on", "never_on", "success_on")


def random_settings(r, policy):
    """A settings line: one or two keys of a kind that the policy uses."""
    keys = waits(r)
    kinds = [keys, {"paused": r.choice(["yes", "no", "no"])}]
    if "budget" in policy:
        kinds += [(ratio if policy.get("budget_kind") == "ratio" else tokens)(r),
                  {"budget": r.choice(["own", "own", "none", "group"])}]
    if "breaker" in policy:
        window = policy["breaker_window"]
        other = "80ms" if "calls" in window else "5 calls"
        kinds += [{**breaker(r), "breaker_window": r.choice([window, other])},
                  {"breaker": r.choice(["on", "on", "off", "open", "closed"])}]
    keys = {k: v for k, v in r.choice(kinds).items() if k not in FIXED}
    return "set " + " ".join(
        f"{key}={keys[key]}" for key in r.sample(sorted(keys), min(len(keys), r.choice([1, 1, 2]))))


def random_outcome(r, success, took):
    if r.random() < success:
        return f"ok+{r.choice(took)}ms"
    text = f"{r.choice(FAILED if r.random() < 0.9 else OTHERS)}+{r.choice(took)}ms"
    if r.random() < 0.12:
        text += ";after=" + r.choice(["0", "1ms", "5ms", "20ms", "100ms", "36500d", "never"])
    return text


def random_script(r, policy):
    """Calls and settings lines; long ones have quiet times and bad times."""
    script, now = [], 0
    took = r.choice([[0], [0, 1], MOMENTS, [0, 0, 5, 10]])
    changes = r.choice([0, 0, 0.05, 0.2])
    success = r.random()
    for i in range(r.choice([1, 2, 3, 5, 10, 30, 60])):
        if r.random() < 0.6:
            now += r.choice([1, 1, 2, 5, 10, 20])
        if r.random() < 0.1:
            success = r.choice([0, 0.2, 0.5, 0.9, 1])
            now += r.choice([0, 16, 40, 160])
        if r.random() < changes:
            script.append(f"{now}ms {random_settings(r, policy)}")
        else:
            attempts = [random_outcome(r, success, took) for _ in range(r.choice([1, 1, 2, 4, 7]))]
            script.append(f"{now}ms c{i} {' '.join(attempts)}")
    return script


def random_case(number):
    r = random.Random(f"{SEED} {number}")
    policy = random_policy(r)
    return policy, random_script(r, policy), r.choice(DRAWS)


# ---- comparison ----

def section(policy):
    return "".join(f"{key} = {value}\n" for key, value in policy.items())


def run_command(policy, script, draw):
    """The events of the command, or the text of its error."""
    with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
        file.write("[case]\n" + policy)
        file.flush()
        done = subprocess.run(
            [BIDE, "simulate", file.name, "--script", "-", "--random", draw, "--json"],
            input="\n".join(script) + "\n", text=True, capture_output=True)
    if done.returncode != 0:
        return done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def near(one, other):
    """Whether two times are equal; JSON has 15 digits of them."""
    return abs(one - other) <= TOLERANCE_MS + abs(other) * 1e-14


def same(one, other):
    if one.keys() != other.keys():
        return False
    return all(near(one[k], other[k]) if k in ("t_ms", "until_ms")
               else one[k] == other[k] for k in one)


def first_difference(got, wanted):
    """The first pair of events that differ, or None."""
    for i in range(max(len(got), len(wanted))):
        pair = (got[i] if i < len(got) else None, wanted[i] if i < len(wanted) else None)
        if None in pair or not same(*pair):
            return pair
    return None


def compare(policy, script, draw):
    """None if command and model agree, else the two events (or an error, None)."""
    got = run_command(section(policy), script, draw)
    if isinstance(got, str):
        return got, None
    return first_difference(got, model.run(section(policy), script, draw))


def shrink(policy, script, draw):
    """Leaves out lines, outcomes and keys, as long as the events still differ."""
    def differs(policy, script):
        pair = compare(policy, script, draw)
        return pair is not None and not isinstance(pair[0], str)

    for _ in range(3):
        for i in reversed(range(len(script))):
            less = script[:i] + script[i + 1:]
            if differs(policy, less):
                script = less
        for i in range(len(script)):
            while len(script[i].split()) > 3:
                less = script[:i] + [script[i].rsplit(" ", 1)[0]] + script[i + 1:]
                if not differs(policy, less):
                    break
                script = less
        for key in list(policy):
            less = {k: v for k, v in policy.items() if k != key}
            if differs(less, script):
                policy = less
    return policy, script, draw


def check_case(number):
    case = random_case(number)
    pair = compare(*case)
    return None if pair is None else (number, case, pair)


def describe(number, case, pair):
    if not isinstance(pair[0], str):
        case = shrink(*case)
        pair = compare(*case)
    policy, script, draw = case
    print(f"---- case {number} of seed {SEED}, draw {draw}")
    print(section(policy) + "\n".join(script))
    print(f"command: {pair[0]}\nmodel:   {pair[1]}")


# ---- the cases of tests/vectors ----

def holds(event, wanted):
    return all(key in event and (
        near(event[key], value) if isinstance(value, (int, float))
        else event[key] == value) for key, value in wanted.items())


def check_vectors(name):
    """Runs the cases of a file through the model; returns how many do not hold."""
    failed = 0
    for line in open(os.path.join(VECTORS, name)):
        case = json.loads(line)
        events = model.run(case["policy"], case["script"], str(case["draw"]))
        at = collections.Counter()
        for wanted in case["expect"]:
            own = [e for e in events if e["call"] == wanted["call"]]
            i = at[wanted["call"]]
            while i < len(own) and not holds(own[i], wanted):
                i += 1
            at[wanted["call"]] = i + 1
            if i == len(own):
                print(f"model: {case['system']}: {case['case']}: expected {wanted}, got {own}")
                failed += 1
                break
    return failed


def main():
    failed = sum(check_vectors(name) for name in (
        "scripts.jsonl", "peers.jsonl", "disputed.jsonl"))
    with multiprocessing.Pool() as pool:
        different = [d for d in pool.imap(check_case, range(CASES), chunksize=50) if d]
    for d in different[:SHOWN]:
        describe(*d)
    print(f"differ: {CASES} cases of seed {SEED}, {len(different)} differ; "
          f"{failed} vectors do not hold in the model")
    sys.exit(1 if different or failed else 0)


if __name__ == "__main__":
    main()
