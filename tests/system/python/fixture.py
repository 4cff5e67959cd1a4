"""What the tests of the Python package share: registries of their own, programs in
other processes, and a report of skipped tests that tests/run can read."""
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest

BIDE = os.environ["BIDE"]
sys.dont_write_bytecode = True

RULES = """
[pay]
attempts = 4
wait_initial = 100ms
wait_jitter = none
retry_on = transient
[once]
attempts = 1
[slow]
attempts = 3
wait = fixed
wait_initial = 1h
wait_max = 1h
wait_jitter = none
retry_on = transient
[limited]
attempts = 2
attempt_timeout = 20ms
wait = none
retry_on = transient
[later]
importance = postponable
attempts = 1
defer_wait = 1s
[turns]
attempts = 1
rate = own
rate_limit = 10/s
rate_wait = 1m
[gate]
breaker = on
breaker_min_calls = 1
breaker_window = 10 calls
breaker_failure_rate = 50%
attempts = 1
"""


class RegistryCase(unittest.TestCase):
    """A test with a registry of its own in the file system; self.bide(...) runs the
    command, self.python(...) a program."""

    rules = RULES

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bide-python-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.environment = dict(os.environ, BIDE_DIR=os.path.join(self.folder, "registry"),
                                LC_ALL="C.UTF-8", PYTHONDONTWRITEBYTECODE="1",
                                PYTHONWARNINGS="ignore::DeprecationWarning")
        self.bide("init", "--live", os.path.join(self.folder, "live"))
        self.bide("apply", "-", text=self.rules)

    def bide(self, *argv, text=None):
        done = subprocess.run([BIDE, *argv], input=text, env=self.environment, text=True,
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def start(self, program, *argv):
        """Starts a program of Python, with the names that most programs use."""
        text = "import asyncio, os, signal, sys, threading, time\nimport bide\n"
        process = subprocess.Popen([sys.executable, "-c", text + textwrap.dedent(program), *argv],
                                   env=self.environment, text=True, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(self.end, process)
        self.started = process
        return process

    @staticmethod
    def end(process):
        """Ends a program of `start`."""
        process.kill()
        process.communicate()

    def python(self, program, *argv):
        """Runs a program to its end; returns its output."""
        process = self.start(program, *argv)
        output, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, output)
        return output

    def answer(self, process):
        """Lets a program go on that reads a line."""
        process.stdin.write("\n")
        process.stdin.flush()

    def until(self, process, line):
        """Reads what a program prints, up to a line."""
        for text in process.stdout:
            if text.strip() == line:
                return
        self.fail(f"the program ended without {line!r}")

    def wait_for_sleepers(self, count, name="slow"):
        """Waits until so many calls wait under a policy."""
        while self.started.poll() is None:
            calls = json.loads(self.bide("calls", "--json"))["calls"]
            if sum(call["policy"] == name for call in calls) >= count:
                return
        self.fail("the program has ended: " + self.started.stdout.read())


def main():
    """Runs the tests of the file."""
    done = unittest.main(exit=False, verbosity=1).result
    for number, (case, why) in enumerate(done.skipped, 1):
        print(f"ok {number} {case.id()} # skip {why}")
    sys.exit(not done.wasSuccessful())
