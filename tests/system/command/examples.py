#!/usr/bin/env python3
"""Runs every example of `bide help COMMAND`, in the order of `bide help`, on one
registry, and the examples of the manual page bide(1) on another one.

argv: the command bide, and the top of the tree."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

bide, top = map(os.path.abspath, sys.argv[1:3])
POLICIES = """[payments]
deadline = 10s
attempts = 4
retry_on = any
wait_initial = 10ms
budget = own
breaker = on
limit = own
limit_places = 100
rate = own
rate_limit = 1000/s
rate_burst = 100
rate_wait = 1s
[mail]
importance = postponable
retry_on = any
wait_initial = 10ms
wait_max = 2s
[metrics]
importance = optional
retry_on = any
"""
MANUAL_POLICIES = """[nightly_copy]
[send_mail]
importance = postponable
[newsletter]
importance = postponable
"""
# Exit statuses other than 0 that are no failure: the versions differ, there is a
# warning, work remains, there is no terminal.
ANSWERS = {"top": {1}, "diff": {1}, "check": {1, 2, 3}, "deferred replay": {1}, "deferred work": {1}}
# Commands that run until a signal ends them.
ENDLESS = re.compile(r"bide (serve|record .*--every|deferred (work|replay) (?!.*--until-empty).*--jobs)|ssh ")
failed = ran = 0


def fault(what):
    global failed
    failed += 1
    print("FAILED", what)


def make_environment(work):
    """Returns environment variables whose PATH begins with `bide` and stand-ins for
    the other programs of the examples."""
    programs = os.path.join(work, "bin")
    os.mkdir(programs)
    os.symlink(bide, os.path.join(programs, "bide"))
    for name in ("rsync", "sendmail", "logger"):
        with open(os.path.join(programs, name), "w") as file:
            file.write("#!/bin/sh\n[ -t 0 ] || cat >/dev/null\n")
        os.chmod(file.name, 0o755)
    with open(os.path.join(programs, "ssh"), "w") as file:
        file.write("#!/bin/sh\nshift 3\nexec \"$@\"\n")
    os.chmod(file.name, 0o755)
    for name in ("letter.txt", "mail"):
        with open(os.path.join(work, name), "w") as file:
            file.write("Dear customer\n")
    return dict(os.environ, PATH=programs + ":" + os.environ["PATH"], LC_ALL="C.UTF-8",
                BIDE_DIR=os.path.join(work, "default"), XDG_RUNTIME_DIR=work)


def run(line, work, environment, name=""):
    global ran
    ran += 1
    # Something else may use the port of a plain "bide serve".
    line = re.sub("bide serve$", "bide serve --listen 127.0.0.1:0", line)
    process = subprocess.Popen(["bash", "-c", line], cwd=work, env=environment, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output = process.communicate(timeout=1 if ENDLESS.search(line) else 60)[0]
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        output = process.communicate()[0]
        status = 0 if ENDLESS.search(line) else -1
    if status != 0 and status not in ANSWERS.get(name, ()):
        fault(f"{line}: exit status {status}\n{output}")


def output_of(*words):
    return subprocess.run([bide, *words], text=True, stdout=subprocess.PIPE).stdout


with tempfile.TemporaryDirectory() as work:
    environment = make_environment(work)
    with open(os.path.join(work, "shop.ini"), "w") as file:
        file.write(POLICIES)
    os.mkdir(os.path.join(work, "policies"))
    shutil.copy(file.name, os.path.join(work, "policies"))
    names = [n.strip() for n in re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", output_of("help"), re.M)]
    for name in names:
        examples = re.findall(r"^  (.+)$", output_of("help", *name.split()).partition("\nExamples:\n")[2], re.M)
        if not 2 <= len(examples) <= 3:
            fault(f"bide help {name} has {len(examples)} examples")
        if name.startswith("fleet "):
            continue  # tests/system/fleet runs them with an etcd
        for line in examples:
            run(line, work, environment, name)
    if len(names) < 30:
        fault(f"bide help names {len(names)} commands")

with tempfile.TemporaryDirectory() as work:
    environment = make_environment(work)
    shutil.copy(os.path.join(top, "policies", "purchase.ini"), work)
    page = open(os.path.join(top, "cli", "man", "bide.1"), encoding="utf-8").read()
    blocks = re.findall(r"^\.nf\n(.*?)\n\.fi$", page.partition(".SH EXAMPLES")[2], re.S | re.M)
    for number, block in enumerate(blocks):
        plain = block.replace("\\-", "-").replace("\\(dq", '"').replace("\\e\n", "\\\n")
        for line in plain.replace("\\\n", " ").splitlines():
            run(line, work, environment, " ".join(line.split()[1:3]))
        if number == 0:
            subprocess.run(
                [bide, "apply", "-"], input=MANUAL_POLICIES, text=True, env=environment,
                stdout=subprocess.DEVNULL, check=True)
    if len(blocks) < 5:
        fault(f"bide(1) has {len(blocks)} examples")

print(f"examples: {ran} ran, {failed} failed")
sys.exit(1 if failed else 0)
