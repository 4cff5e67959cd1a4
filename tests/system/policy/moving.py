#!/usr/bin/env python3
"""Compares the translated rules of bide(7), MOVING FROM OTHER RULES, with the
command, with the policies of policies/, whose rules the vectors test, and with what
the other rules do.  argv: the command bide, the top of the tree; with a third word
only Tenacity runs."""
import json
import os
import re
import subprocess
import sys
import tempfile

BIDE, TOP = map(os.path.abspath, sys.argv[1:3])
UNITS = {"ms": 1, "s": 1000, "m": 60000}
# The policy of policies/ with the same rules, and the keys that the example adds.
READY = {"curl --retry": ("curl-connrefused", {"attempt_timeout"}),
         "gRPC service config": ("grpc-throttled", set()),
         "AWS clients": ("aws-standard", set()),
         "resilience4j": ("resilience4j-retry", set())}
faults = []


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
        if set(page) != {"A loop in a shell script", "Tenacity", *READY}:
            faults.append(f"the parts are {sorted(page)}")
        check_loop(page["A loop in a shell script"][0], page["A loop in a shell script"][2], work)

print("\n".join(faults))
print(f"moving: {len(page)} parts, {len(faults)} faults")
sys.exit(1 if faults else 0)
