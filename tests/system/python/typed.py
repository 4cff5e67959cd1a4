"""What type checkers see: guarded functions keep their parameters and results."""
import os
import subprocess
import sys
import tempfile
import unittest

import fixture

PROGRAM = '''
import bide

pay = bide.policy("pay")


@pay
def charge(order: str, *, cents: int = 0) -> float:
    return 1.0


@pay
async def fetch(url: str) -> bytes:
    return b""


class Shop:
    @pay
    def sell(self, order: str) -> int:
        return 1


async def main() -> None:
    reveal_type(charge("x", cents=3))  # float
    reveal_type(await fetch("x"))  # bytes
    reveal_type(Shop().sell("x"))  # int
    reveal_type(pay.run(charge, "x"))  # Result[builtins.float]
    reveal_type(await pay.run(fetch, "x"))  # Result[builtins.bytes]
    for work in pay.deferred():
        reveal_type(work)  # DeferredWork
    async for work in pay.deferred(wait=None):
        async with work:
            reveal_type(work.data)  # bytes
    async for attempt in pay:
        with attempt:
            reveal_type(attempt.number)  # int
    charge(7)  # error
    await fetch()  # error
'''


class Typed(unittest.TestCase):
    def setUp(self):
        self.command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--cache-dir", os.devnull]
        if subprocess.run([*self.command[:3], "--version"], capture_output=True, check=False).returncode:
            self.skipTest("needs mypy")

    def check(self, *argv):
        return subprocess.run([*self.command, *argv], text=True, check=False, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT,
                              env={**os.environ, "MYPYPATH": os.environ["BUILD"] + "/python"}).stdout

    def test_a_guarded_function_keeps_its_type(self):
        with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
            file.write(PROGRAM)
            file.flush()
            shown = self.check(file.name)
        for number, line in enumerate(PROGRAM.splitlines(), 1):
            wanted = line.partition("  # ")[2]
            if wanted:
                found = [text for text in shown.splitlines() if f":{number}: " in text]
                self.assertTrue(any(wanted in text for text in found), f"{line}: {shown}")

    def test_the_package_has_no_fault(self):
        self.assertIn("Success", self.check("--no-warn-return-any", "--no-warn-unused-ignores",
                                            "--ignore-missing-imports", "-p", "bide"))


if __name__ == "__main__":
    fixture.main()
