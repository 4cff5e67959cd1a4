#!/usr/bin/env python3
"""Runs the cases of tests/vectors with the policies of policies/: argv[1] is the
path of the command, argv[2] the top of the tree.

A case describes a policy of policies/ unchanged if all budget and breaker keys of
the case have the values of that policy.  The other keys (attempts, waits) are then
set to the values of the case.  In addition, every case of the system is run with
the policy and all keys of the case set: keys that only the policy has must not
change the result.  DEFAULTS are keys of a policy by which other cases of its system
differ: RetryFilter's calls all earn."""
import json
import os
import subprocess
import sys
import tempfile

BIDE, TOP = sys.argv[1], sys.argv[2]
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(TOP, "tests/system"))
from vectors import missing  # pylint: disable=wrong-import-position

READY = {  # system: policy, the fewest cases that must have its numbers
    "grpc-a6": ("grpc-throttled", 0),
    "aws-2.0": ("aws-standard", 2),
    "aws-2.1": ("aws-standard-2026", 2),
    "finagle": ("finagle", 0),
    "resilience4j": ("resilience4j", 0),
    "polly": ("polly", 0),
    "envoy": ("envoy-outlier", 0),
}
DEFAULTS = {"finagle": {"budget_earn": "all"}}
failures = []


def bide(directory, arguments, text=""):
    done = subprocess.run([BIDE, "--dir", directory, *arguments], input=text, text=True,
                          capture_output=True)
    return done.returncode, done.stdout, done.stderr


def keys_of(policy):
    return dict(tuple(part.strip() for part in line.split("=", 1))
                for line in policy.splitlines() if line.strip())


def is_guard(key):
    return key.startswith(("budget", "breaker"))


def run(directory, name, case, keys, how):
    status, out, err = bide(
        directory, ["simulate", name, *(f"{k}={v}" for k, v in keys.items()),
                    "--script", "-", "--random", str(case["draw"]), "--json"],
        "\n".join(case["script"]) + "\n")
    title = f"{name} ({how}): {case['case']}"
    if status != 0:
        failures.append(f"{title}: {err}")
        return
    lost = missing(case, [json.loads(line) for line in out.splitlines()])
    if lost:
        failures.append(f"{title}: never said {lost}")


def same_numbers(directory, name, keys):
    """Reports whether the keys already have these values in force."""
    before = {k: bide(directory, ["get", name, k])[1] for k in keys}
    status, _, _ = bide(directory, ["set", name, *(f"{k}={v}" for k, v in keys.items())])
    after = {k: bide(directory, ["get", name, k])[1] for k in keys}
    bide(directory, ["apply", os.path.join(TOP, "policies")])
    return status == 0 and before == after


with tempfile.TemporaryDirectory() as where:
    registry = os.path.join(where, "registry")
    bide(registry, ["init", "--live", os.path.join(where, "live")])
    status, _, err = bide(registry, ["apply", os.path.join(TOP, "policies")])
    if status != 0:
        failures.append(err)
    same, cases = {}, 0
    with open(os.path.join(TOP, "tests", "vectors", "scripts.jsonl"), encoding="utf-8") as lines:
        for case in map(json.loads, lines):
            if case["system"] not in READY or not ("budget" in case["policy"] or "breaker" in case["policy"]):
                continue
            name = READY[case["system"]][0]
            keys = {**DEFAULTS.get(case["system"], {}), **keys_of(case["policy"])}
            guard = {k: v for k, v in keys.items() if is_guard(k)}
            cases += 1
            run(registry, name, case, keys, "all keys of the case")
            if same_numbers(registry, name, guard):
                same[case["system"]] = same.get(case["system"], 0) + 1
                run(registry, name, case, {k: v for k, v in keys.items() if not is_guard(k)}, "its numbers")
    for system, (name, fewest) in READY.items():
        if same.get(system, 0) < fewest:
            failures.append(f"{name}: only {same.get(system, 0)} cases have its numbers, not {fewest}")

print("\n".join(failures))
print(f"ready policies: {cases} cases, {sum(same.values())} with a policy's own numbers, "
      f"{len(failures)} failures")
sys.exit(1 if failures or not cases else 0)
