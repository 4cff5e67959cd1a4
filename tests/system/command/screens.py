#!/usr/bin/env python3
"""Runs every command that prints on terminals of several widths, on a registry with
awkward names and numbers: no line is wider than the terminal, what is left out is
named, numbers have no exponents.  Then closes the pipe that each of them writes to:
it ends quietly, with the status that it has otherwise.

argv: the command bide."""
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import unicodedata

bide = os.path.abspath(sys.argv[1])
LONG = "a-name-as-long-as-a-name-may-be-0123456789-abcde"
SCOPE = "scope-that-is-as-long-as-it-may-be-0123456789.xy"
assert len(LONG) == len(SCOPE) == 48
POLICIES = f"""[{LONG}]
description = 支付网关的重试规则，所有服务共用；说明文字很宽，一行放不下 and some words in English after it
importance = postponable
attempts = 300
retry_on = any, http.500-504, errno.ECONNRESET, errno.ETIMEDOUT
wait_initial = 1ms
wait_max = 90m
max_elapsed = 1001h
breaker = on
breaker_open_for = 90m
budget = own
budget_capacity = 200000
warn_retry_rate = 0.1%
warn_min_calls = 1
[quick]
attempts = 3
retry_on = any
wait_initial = 1ms
breaker = on
breaker_window = 4 calls
breaker_min_calls = 2
breaker_open_for = 1ms
budget = own
[later]
importance = postponable
attempts = 1
retry_on = any
"""
COMMANDS = """list
list --json
show {long}
show {long} --resolved
log
log {long}
diff {long}
preview {long}
preview quick
preview quick attempts=60
simulate quick --calls 300/s --fail 40% --for 30s
simulate quick attempts=9 --calls 300/s --fail 40% --for 30s
simulate {long} --script {script}
simulate quick --replay --since 1h
stats
stats {long}
stats quick
stats --since 1h
stats {long} --since 1h
stats quick --since 1h --by version
stats quick --since 1h --by minute
stats {long} --since 1h --by scope
audit
audit {long}
calls
breaker {long}
breaker quick
budget {long}
budget quick
check
check quick
doctor
metrics
deferred list
deferred show 1
deferred stats
set {long} attempts=5 wait_initial=100ms --dry-run
set quick attempts=50 --for 1h --dry-run
delete {long} --dry-run
rollback {long} --dry-run
pause {long} quick --dry-run
help
help keys
help outcomes
help set
help wait_initial
help simulate
version
export""".splitlines()
# Text of others and exports are printed as they are; so is a line for a monitor.
AS_IT_IS = ("show", "export", "metrics", "check", "list --json", "help set", "help simulate", "diff")
WIDTHS = (40, 60, 80, 120, 200)
failed = 0


def fault(what):
    global failed
    failed += 1
    print("FAILED", what)


def columns(line):
    """Returns the columns that `line` takes on a terminal."""
    line = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line).rstrip("\r\n")
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def at_terminal(arguments, width):
    """Returns what the command prints at a terminal, and its exit status."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    process = subprocess.Popen([bide, *arguments], stdin=subprocess.DEVNULL, stdout=child, stderr=subprocess.PIPE)
    os.close(child)
    text = b""
    while True:
        try:
            some = os.read(parent, 65536)
        except OSError:
            break
        if not some:
            break
        text += some
    os.close(parent)
    process.stderr.read()
    return text.decode(), process.wait()


def run(*arguments, **more):
    return subprocess.run([bide, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)


def prepare(work):
    run("init", "--live", os.path.join(work, "live"))
    with open("p.ini", "w") as file:
        file.write(POLICIES)
    done = run("apply", "p.ini", "--note", "the first rules; a note with more words than fit")
    assert done.returncode == 0, done.stderr
    run("set", LONG, "wait_initial=3ms", "--note", "ein Hinweis — mit Umlauten äöü und 日本語のメモ")
    with open("script", "w") as file:
        file.write("0 a http.503+5ms errno.ECONNRESET+3ms ok+3ms\n5ms b http.404+1ms\n")
    for scope in (SCOPE, "s2"):
        run("exec", "--quiet", "--scope", scope, LONG, "--", "sh", "-c", '[ "$BIDE_ATTEMPT" -gt 3 ]')
    run("record")
    for status in 2 * (3, 75, 9, 111, 4, 5, 6):
        run("exec", "--quiet", "quick", "--", "sh", "-c", f"exit {status}")
        run("exec", "--quiet", "quick", "--", "true")
    run("exec", "--quiet", "not-defined-" + "x" * 36, "--", "true")
    run("exec", "--quiet", "--defer", "later", "--", "sh", "-c", "exit 3; # " + "long " * 30)
    run("deferred", "replay", "later", "--until-empty", "--exec", "exit 9")
    run("set", "quick", "attempts=4", "--for", "1h")
    run("record")


def check_widths(command, arguments):
    plain = run(*arguments)
    head = plain.stdout.split("\n")[0].split() if re.match(r"(list|log|calls|deferred list)\b", command) else []
    for width in WIDTHS:
        text, status = at_terminal(arguments, width)
        if status != plain.returncode:
            fault(f"{command}: status {status} at a terminal, {plain.returncode} in a pipe")
        for line in text.splitlines():
            if columns(line) > width and not command.startswith(AS_IT_IS):
                fault(f"{command}: {columns(line)} columns at {width}: {line}")
                break
        if not command.startswith(AS_IT_IS) and re.search(r"\d\.\d+e[+-]\d|\d\.\d+[mhd]\b", text):
            fault(f"{command}: a number for machines: {text}")
        for title in head:
            if title.isupper() and title not in text:
                fault(f"{command}: {title} is missing at {width}: {text}")


def check_folding():
    """A breaker that flaps takes one line of the audit; --json shows each change."""
    events = run("audit", "quick", "--json").stdout.count('"breaker"')
    lines = [line for line in run("audit", "quick").stdout.splitlines() if " breaker " in line]
    if events < 8 or len(lines) > 2 or not re.search(
            r"breaker opened (\d+ )?and closed \d+ times, \d\d:\d\d to \d\d:\d\d", lines[0]):
        fault(f"audit: {events} changes of the breaker in {len(lines)} lines: {lines}")


def check_closed_pipe(command, arguments):
    usual = run(*arguments)
    for disposition in (signal.SIG_DFL, signal.SIG_IGN):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([bide, *arguments], stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE,
                              preexec_fn=lambda: signal.signal(signal.SIGPIPE, disposition), restore_signals=False)
        os.close(writer)
        if done.returncode != usual.returncode or done.stderr.decode() != usual.stderr:
            fault(f"{command}: status {done.returncode} with a closed pipe, not {usual.returncode}: {done.stderr.decode()}")


with tempfile.TemporaryDirectory() as work:
    os.chdir(work)
    os.environ.update(BIDE_DIR=os.path.join(work, "registry"), LC_ALL="C.UTF-8", TERM="xterm", TZ="UTC")
    for name in ("COLUMNS", "NO_COLOR"):
        os.environ.pop(name, None)
    prepare(work)
    check_folding()
    for line in COMMANDS:
        arguments = line.format(long=LONG, script="script").split(" ")
        check_widths(line, arguments)
        check_closed_pipe(line, arguments)
print(f"{len(COMMANDS)} commands at {len(WIDTHS)} widths, {failed} faults")
sys.exit(failed > 0)
