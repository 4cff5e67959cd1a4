#!/usr/bin/env python3
"""Compares the translated rules of bide(7), MOVING FROM OTHER RULES, with the
command, with the policies of policies/, with the cases of tests/vectors from the same
systems, and with what the other rules do.  argv: the command bide, the top of the
tree; with a third word only Tenacity runs.

A case runs under the policy of the page, with the numbers and outcomes of the case:
so the kind of waits, jitter, hints, budget and breaker is the page's, and waits and
verdicts are those that the other system's tests expect."""
import json
import os
import re
import subprocess
import sys
import tempfile

BIDE, TOP = map(os.path.abspath, sys.argv[1:3])
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(TOP, "tests/system"))
import vectors  # pylint: disable=wrong-import-position

UNITS = {"ms": 1, "s": 1000, "m": 60000}
# The policy of policies/ with the same rules, and the keys that the example adds.
READY = {"curl --retry": ("curl-connrefused", {"attempt_timeout"}),
         "gRPC service config": ("grpc-throttled", set()),
         "AWS clients": ("aws-standard", set()),
         "resilience4j": ("resilience4j-retry", set())}
# The systems of the cases, and how many of them there are at least.
CASES = {"curl --retry": ({"curl"}, 3),
         "gRPC service config": ({"grpc-a6", "grpc-java"}, 20),
         "AWS clients": ({"aws-2.0", "aws-2.1", "aws-go", "aws-java", "aws-js"}, 15),
         "resilience4j": ({"resilience4j"}, 15)}
# What a case brings: its numbers and outcomes ...
NUMBERS = set("""attempts wait_initial wait_max wait_factor retry_after_max retry_on never_on throttle_on
    budget_capacity budget_cost budget_timeout_cost budget_deposit budget_refund breaker_window breaker_min_calls
    breaker_open_for breaker_probes breaker_slow_after breaker_slow_rate""".split())
# ... and for some cases what the page does not translate, because it was configured
# otherwise or is of another version.
THROTTLED = {"throttle_wait_initial", "throttle_wait_max", "budget_throttle_cost"}
CONFIGURED = {
    "after a pushback the waits begin with the first again": {"wait_jitter"},
    "the example policy: four attempts, 0.1 s, at most 1 s": {"wait_jitter"},  # the first version
    "hint of 10s is kept between the own wait and 5 s more": {"retry_after"},
    "throttling costs 5 and waits from 1 s": THROTTLED,
    "2026: a throttled retry takes five and its success gives five back": THROTTLED,
    "eight, mixed from a transient": THROTTLED,
    "eight, throttled": THROTTLED,
    "three, throttled first": THROTTLED,
    "twelve, mixed": THROTTLED,
    "interval 100 ms doubling to a cap of 100 s": {"wait"},
    "interval 100 ms randomized by one half, draw 1": {"wait_jitter"},
    "interval 100 ms times 1.5 randomized by one half, draw 0": {"wait", "wait_jitter"},
    "ignored outcomes are no calls": {"breaker_ignore"},
}
faults = []
compared = 0


def bide(*words, text=""):
    return subprocess.run([BIDE, *words], input=text, text=True, capture_output=True, check=False)


def parts():
    """Returns the parts of the page: {heading: (their rules, policy, waits)}."""
    with open(os.path.join(TOP, "cli/man/bide.7"), encoding="utf-8") as file:
        page = file.read().partition('.SH "MOVING FROM OTHER RULES"')[2].partition("\n.SH ")[0]
    found = {}
    for text in page.replace("\\-", "-").replace("\\e", "\\").split("\n.SS ")[1:]:
        blocks = re.findall(r"^\.nf\n(.*?)^\.fi$", text, re.S | re.M)
        waits = re.findall(r"^Waits: (.*)\.$", text, re.M)
        if len(blocks) != 2 or len(waits) != 1:
            faults.append(f"{text.splitlines()[0]}: {len(blocks)} blocks, {len(waits)} lines of waits")
            continue
        if not re.search(r"^Equal: ", text, re.M) or not re.search(r"^Different: ", text, re.M):
            faults.append(f"{text.splitlines()[0]}: does not say what is equal and what is different")
        found[text.splitlines()[0].strip('"')] = (blocks[0], blocks[1], [claim(w) for w in waits[0].split(", ")])
    return found


def claim(text):
    """Returns "80ms..120ms" as (80, 120)."""
    ends = [re.fullmatch(r"(\d+)(ms|s|m|)", end).groups() for end in text.split("..")]
    ends = [float(number) * UNITS.get(unit, 1) for number, unit in ends]
    return ends[0], ends[-1]


def check_policy(title, ini, waits, folder):
    path = os.path.join(folder, "example.ini")
    with open(path, "w", encoding="utf-8") as file:
        file.write(ini)
    done = bide("validate", path)
    if done.returncode or done.stderr:
        faults.append(f"{title}: validate: {done.stderr}")
        return
    name = re.search(r"^\[(.*)\]$", ini, re.M).group(1)
    seen = [(w["min_ms"], w["max_ms"]) for w in json.loads(bide("preview", path, "--policy", name, "--json").stdout)["waits"]]
    if seen != waits:
        faults.append(f"{title}: the page says {waits}, preview {seen}")
    if title in READY:
        ready, more = READY[title]
        bide("--dir", os.path.join(folder, "registry"), "apply", path)
        ours, theirs = (resolved(folder, n) for n in (name, ready))
        for key in sorted(set(ours) | set(theirs)):
            if key not in more | {"description", "extends"} and ours.get(key) != theirs.get(key):
                faults.append(f"{title}: {key} = {ours.get(key)}, in {ready} {theirs.get(key)}")


def keys_of(ini):
    """Returns the keys of a policy as {key: value}."""
    return dict(re.findall(r"^(\w+) = (.*)$", re.sub(r",\n +", ", ", ini), re.M))


def check_cases(title, ini, folder):
    global compared
    systems, least = CASES[title]
    count = 0
    for case in sum(map(vectors.read_cases, ("scripts.jsonl", "peers.jsonl", "disputed.jsonl")), []):
        if case["system"] not in systems:
            continue
        theirs = keys_of(case["policy"])
        brought = NUMBERS | CONFIGURED.get(case["case"], set())
        policy = {key: value for key, value in keys_of(ini).items()
                  if not key.startswith(("budget", "breaker")) or key.split("_")[0] in theirs}
        policy.update((key, value) for key, value in theirs.items() if key in brought)
        why = vectors.run_case(folder, case, "\n".join(f"{key} = {value}" for key, value in policy.items()))
        if why:
            faults.append(f"{title}: {case['system']}: {case['case']}: {why}")
        count += 1
    if count < least:
        faults.append(f"{title}: only {count} cases of tests/vectors")
    compared += count


def resolved(folder, name):
    shown = json.loads(bide("--dir", os.path.join(folder, "registry"), "show", name, "--resolved", "--json").stdout)
    return {key: of["value"] for key, of in shown["keys"].items()}


def check_loop(loop, waits, folder):
    """Runs the loop of the page with stand-ins of curl and sleep, then bide exec's words."""
    programs = os.path.join(folder, "bin")
    os.mkdir(programs)
    for name, text in (("curl", "exit 7"), ("sleep", 'echo "$1" >>"$0.did"')):
        with open(os.path.join(programs, name), "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{text}\n")
        os.chmod(file.name, 0o755)
    done = subprocess.run(["/bin/sh", "-c", loop], env={"PATH": programs, "url": "x"}, check=False)
    with open(os.path.join(programs, "sleep.did"), encoding="utf-8") as file:
        slept = [1000 * float(line) for line in file]
    # One wait more than there are retries, and success in the end.
    if done.returncode or slept != [w[0] for w in waits] + [waits[-1][0]]:
        faults.append(f"the loop slept {slept}, exit status {done.returncode}")


def check_tenacity(decorator, waits):
    """Runs the decorator of the page, with a sleep that only notes the time."""
    import tenacity
    for _ in range(50):
        slept, names = [], dict(vars(tenacity))
        code = decorator.rstrip()[:-1] + ", sleep=slept.append, reraise=True)\ndef fetch():\n    raise OSError\n"
        names["slept"] = slept
        exec(code, names)
        try:
            names["fetch"]()
        except OSError:
            pass
        if len(slept) != len(waits) or not all(low <= 1000 * s <= high for s, (low, high) in zip(slept, waits)):
            faults.append(f"Tenacity slept {slept}, the page says {waits}")
            return


with tempfile.TemporaryDirectory() as work:
    bide("--dir", os.path.join(work, "registry"), "init", "--live", os.path.join(work, "live"))
    bide("--dir", os.path.join(work, "registry"), "apply", os.path.join(TOP, "policies"))
    page = parts()
    if len(sys.argv) > 3:
        check_tenacity(page["Tenacity"][0], page["Tenacity"][2])
    else:
        for heading, (_, policy, lines) in page.items():
            check_policy(heading, policy, lines, work)
            if heading in CASES:
                check_cases(heading, policy, work)
        if set(page) != {"A loop in a shell script", "Tenacity", *READY}:
            faults.append(f"the parts are {sorted(page)}")
        check_loop(page["A loop in a shell script"][0], page["A loop in a shell script"][2], work)

print("\n".join(faults))
print(f"moving: {len(page)} parts, {compared} cases, {len(faults)} faults")
sys.exit(1 if faults else 0)
