#!/usr/bin/env python3
"""Runs the cases of tests/vectors through the command: argv[1] is its path."""
import csv
import json
import os
import subprocess
import sys
import tempfile

BIDE = sys.argv[1]
VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors")
TOLERANCE_MS = 0.001
passed, failed = 0, 0


def count_result(ok, case, why=""):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {case}: {why}")


def bide(arguments, text):
    done = subprocess.run([BIDE, *arguments], input=text, text=True, capture_output=True)
    return done.returncode, done.stdout, done.stderr


def section(keys):
    return "[case]\n" + "".join(key.strip() + "\n" for key in keys)


def check_waits(folder):
    for row in csv.DictReader(open(os.path.join(VECTORS, "tenacity_waits.csv"))):
        path = os.path.join(folder, "case.ini")
        open(path, "w").write(section(row["policy"].split("; ")))
        status, out, err = bide(["preview", path, "--json"], "")
        if status != 0:
            count_result(False, row["case"], err)
            continue
        found = json.loads(out)["waits"]
        for field in ("min_ms", "max_ms"):
            wanted = [float(x) for x in row[field].split()]
            got = [w[field] for w in found]
            near = len(got) == len(wanted) and all(
                abs(a - b) <= TOLERANCE_MS for a, b in zip(got, wanted))
            count_result(near, f"{row['case']} {field}", f"wanted {wanted}, got {got}")


def run_script(folder, policy, script, draw):
    path = os.path.join(folder, "case.ini")
    open(path, "w").write(policy)
    status, out, err = bide(
        ["simulate", path, "--script", "-", "--random", str(draw), "--json"], script)
    if status != 0:
        return None, err
    return [json.loads(line) for line in out.splitlines()], ""


def check_stops(folder):
    for row in csv.DictReader(open(os.path.join(VECTORS, "tenacity_stops.csv"))):
        script = "0 a" + f" app.x+{row['attempt_took']}" * 1000 + "\n"
        events, err = run_script(folder, section(row["policy"].split("; ")), script, 1)
        if events is None:
            count_result(False, row["case"], err)
            continue
        end = events[-1]
        wanted = (int(row["attempts"]), float(row["ended_ms"]), row["reason"])
        got = (end["attempt"], end["t_ms"], end.get("reason"))
        near = got[0] == wanted[0] and abs(got[1] - wanted[1]) <= TOLERANCE_MS and got[2] == wanted[2]
        count_result(near and end["says"] == "done", row["case"], f"wanted {wanted}, got {end}")


def matches(event, wanted):
    for key, value in wanted.items():
        if key not in event:
            return False
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if abs(event[key] - value) > TOLERANCE_MS:
                return False
        elif event[key] != value:
            return False
    return True


def read_cases(name):
    with open(os.path.join(VECTORS, name)) as file:
        return [json.loads(line) for line in file]


def missing(case, events):
    """Returns the first event that a case expects and that did not happen, or None."""
    at = {}
    for wanted in case["expect"]:
        own = [e for e in events if e["call"] == wanted["call"]]
        i = at.get(wanted["call"], 0)
        while i < len(own) and not matches(own[i], wanted):
            i += 1
        if i == len(own):
            return wanted
        at[wanted["call"]] = i + 1
    return None


def run_case(folder, case, policy):
    """Runs the script of a case under a policy; returns why its events are not as
    expected, or None."""
    events, err = run_script(folder, "[case]\n" + policy + "\n", "\n".join(case["script"]) + "\n", case["draw"])
    if events is None:
        return err
    lost = missing(case, events)
    return lost and f"expected {lost}, got {events}"


def check_scripts(folder, name):
    for case in read_cases(name):
        why = run_case(folder, case, case["policy"])
        count_result(why is None, f"{case['system']}: {case['case']}", why)


def main():
    with tempfile.TemporaryDirectory() as folder:
        check_waits(folder)
        check_stops(folder)
        check_scripts(folder, "scripts.jsonl")
        check_scripts(folder, "peers.jsonl")
        check_scripts(folder, "disputed.jsonl")
    print(f"vectors: {passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
