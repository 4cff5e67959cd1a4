"""Tenacity's own objects under a policy; and Tenacity's own tests, with bide in each
of its objects, if their folder is in BIDE_TENACITY_SUITE, or apt-get (a source list)
or pip can download the source of the installed version."""
import asyncio
import glob
import logging
import os
import subprocess
import sys
import tempfile
import unittest
from importlib import metadata

import bide
import fixture

try:
    import tenacity
except ImportError:
    tenacity = None


@unittest.skipUnless(tenacity, "needs python3-tenacity")
class Objects(unittest.TestCase):
    def setUp(self):
        self.test = bide.testing(declare=fixture.RULES).start()
        self.addCleanup(self.test.stop)
        self.pay = bide.policy("pay")
        self.calls = 0

    def flaky(self, failures, error=ConnectionResetError):
        """Fails a number of times."""
        self.calls += 1
        if self.calls <= failures:
            raise error(self.calls)
        return self.calls

    async def aflaky(self, failures, error=ConnectionResetError):
        """The same."""
        return self.flaky(failures, error)

    def test_retry_follows_the_policy(self):
        begun = self.test.now
        self.assertEqual(tenacity.retry(**self.pay.tenacity())(self.flaky)(2), 3)
        self.assertAlmostEqual(self.test.now - begun, 0.3, places=6)
        stats = self.pay.stats()
        self.assertEqual((stats["recovered"], stats["retries"]), (1, 2))

    def test_a_call_that_is_exhausted(self):
        with self.assertRaises(tenacity.RetryError) as caught:
            tenacity.retry(**self.pay.tenacity())(self.flaky)(9)
        self.assertEqual((self.calls, caught.exception.last_attempt.attempt_number), (4, 4))
        self.assertEqual(self.pay.stats()["exhausted"], 1)
        with self.assertRaises(ConnectionResetError) as caught:
            tenacity.retry(reraise=True, **self.pay.tenacity())(self.flaky)(99)
        if sys.version_info >= (3, 11):
            self.assertIn("exhausted after 4 attempts", caught.exception.__notes__[0])

    def test_a_programming_error_is_raised_at_once(self):
        with self.assertRaises(KeyError):
            tenacity.retry(**self.pay.tenacity())(self.flaky)(9, KeyError)
        self.assertEqual((self.calls, self.pay.stats()["rejected"]), (1, 1))

    def test_coroutines(self):
        guarded = tenacity.retry(**self.pay.tenacity())(self.aflaky)
        self.assertEqual(asyncio.run(guarded(2)), 3)
        with self.assertRaises(tenacity.RetryError):
            asyncio.run(guarded(99))
        stats = self.pay.stats()
        self.assertEqual((stats["recovered"], stats["exhausted"]), (1, 1))

    def test_blocks(self):
        for attempt in self.pay.retrying():
            with attempt:
                self.flaky(2)
        self.assertEqual(self.calls, 3)

        async def block():
            async for attempt in self.pay.retrying(is_async=True):
                with attempt:
                    self.flaky(5)

        asyncio.run(block())
        self.assertEqual((self.calls, self.pay.stats()["recovered"]), (6, 2))

    def test_a_block_that_is_left_ends_its_call(self):
        for attempt in self.pay.retrying():
            with attempt:
                raise ConnectionResetError
            break
        del attempt
        self.assertEqual(self.pay.stats()["cancelled"], 1)

    def test_a_refused_call(self):
        gate = bide.policy("gate")
        for _ in range(2):
            gate.run(self.flaky, 99)
        with self.assertRaises(bide.Refused):
            gate.retrying()(self.flaky, 0)
        self.assertEqual(self.calls, 1)

    def test_explicit_retries_and_values(self):
        def again():
            self.calls += 1
            if self.calls < 3:
                raise tenacity.TryAgain
            return self.calls

        self.assertEqual(self.pay.retrying()(again), 3)
        self.calls = 0
        judged = self.pay.using(outcome=lambda value: value == 3 or bide.http(503))
        self.assertEqual(judged.retrying()(self.flaky, 0), 3)
        with self.assertRaises(tenacity.RetryError):
            judged.retrying()(self.flaky, 0)

    def test_ctrl_c_is_no_failure(self):
        with self.assertRaises(KeyboardInterrupt):
            self.pay.retrying()(self.flaky, 9, KeyboardInterrupt)
        stats = self.pay.stats()
        self.assertEqual((stats["cancelled"], stats["attempts_failed"]), (1, 0))

    def test_arguments_can_be_combined(self):
        arguments = self.pay.tenacity()
        arguments["stop"] |= tenacity.stop_after_attempt(2)
        with self.assertRaises(tenacity.RetryError):
            tenacity.retry(**arguments)(self.flaky)(9)
        self.assertEqual(self.calls, 2)
        self.calls = 0
        arguments = self.pay.tenacity()
        arguments["wait"] += tenacity.wait_fixed(1)
        self.assertEqual(tenacity.retry(**arguments)(self.flaky)(2), 3)

    def test_retry_with_and_another_sleep(self):
        guarded = tenacity.retry(**self.pay.tenacity())(self.flaky)
        slept = []
        self.assertEqual(guarded.retry_with(sleep=slept.append)(2), 3)
        self.assertEqual([round(wait, 6) for wait in slept], [0.1, 0.2])

    def test_callbacks_statistics_and_messages_of_tenacity(self):
        logger = logging.getLogger(self.id())
        logger.propagate = False
        after = []
        with self.assertLogs(logger) as logged:
            guarded = tenacity.retry(
                before_sleep=tenacity.before_sleep_log(logger, logging.INFO),
                after=lambda state: after.append(state.attempt_number),
                **self.pay.tenacity())(self.flaky)
            self.assertEqual(guarded(2), 3)
        self.assertEqual(after, [1, 2])
        self.assertEqual(guarded.retry.statistics["attempt_number"], 3)
        self.assertEqual([line.split(" in ")[1] for line in logged.output],
                         ["0.1 seconds as it raised ConnectionResetError: 1.",
                          "0.2 seconds as it raised ConnectionResetError: 2."])

    def test_errors_and_callbacks_at_the_end(self):
        with self.assertRaises(ValueError):
            tenacity.retry(retry_error_cls=ValueError, **self.pay.tenacity())(self.flaky)(9)
        guarded = tenacity.retry(retry_error_callback=lambda state: state.attempt_number,
                                 **self.pay.tenacity())(self.flaky)
        self.assertEqual(guarded(99), 4)
        with self.assertRaises(tenacity.RetryError) as caught:
            tenacity.retry(**bide.policy("pay", outcome=lambda value: bide.http(503)).tenacity())(self.flaky)(0)
        self.assertEqual(caught.exception.last_attempt.exception(), None)

    def test_coroutines_at_a_time_have_calls_of_their_own(self):
        attempts = []

        @tenacity.retry(after=lambda state: attempts.append((state.args[0], state.attempt_number)),
                        **self.pay.tenacity())
        async def fail(name, left):
            await asyncio.sleep(0)
            if left:
                left.pop()
                raise ConnectionResetError
            return name

        async def both():
            return await asyncio.gather(fail("a", [1, 2]), fail("b", [1, 2]))

        self.assertEqual(asyncio.run(both()), ["a", "b"])
        self.assertEqual(sorted(attempts), [("a", 1), ("a", 2), ("b", 1), ("b", 2)])
        self.assertEqual(self.pay.stats()["recovered"], 2)

    def test_objects_without_arguments_are_tenacitys(self):
        """The subclasses of `retrying` do what their parents do."""
        from bide import _tenacity

        for kind in (_tenacity.Retrying, tenacity.Retrying):
            self.calls = 0
            retrying = kind(stop=tenacity.stop_after_attempt(3), retry=tenacity.retry_never)
            with self.assertRaises(tenacity.RetryError):
                retrying(self.flaky, 9, tenacity.TryAgain)
            self.assertEqual((self.calls, retrying.statistics["attempt_number"]), (3, 3))
        self.calls = 0
        self.assertEqual(asyncio.run(_tenacity.AsyncRetrying()(self.aflaky, 2)), 3)

    def test_arguments_without_before_are_refused(self):
        arguments = self.pay.tenacity()
        del arguments["before"]
        with self.assertRaisesRegex(RuntimeError, "before"):
            tenacity.retry(**arguments)(self.flaky)(1)


@unittest.skipUnless(tenacity, "needs python3-tenacity")
class Live(fixture.RegistryCase):
    """Changes of the registry, while calls of Tenacity sleep."""

    PROGRAM = """
        import tenacity
        slow = bide.policy("slow")
        def fail():
            raise ConnectionResetError
        async def afail():
            raise ConnectionResetError
        """

    def change_while_asleep(self, program, *changes):
        process = self.start(fixture.textwrap.dedent(self.PROGRAM) + fixture.textwrap.dedent(program))
        self.wait_for_sleepers(1)
        self.bide("set", "slow", *changes)
        return process.communicate(timeout=60)[0].split()

    def test_a_change_ends_a_sleep(self):
        for call in ("tenacity.retry(**slow.tenacity())(fail)()",
                     "asyncio.run(tenacity.retry(**slow.tenacity())(afail)())"):
            with self.subTest(call):
                self.bide("set", "slow", "attempts=3")
                self.assertEqual(self.change_while_asleep(f"""
                    try:
                        {call}
                    except tenacity.RetryError as error:
                        print(error.last_attempt.attempt_number)
                    """, "attempts=1"), ["1"])

    def test_a_change_shortens_a_sleep(self):
        self.assertEqual(self.change_while_asleep("""
            try:
                slow.retrying()(fail)
            except tenacity.RetryError as error:
                print(error.last_attempt.attempt_number)
            """, "wait_initial=1ms"), ["3"])

    def test_the_callback_runs_after_a_sleep_that_a_change_ended(self):
        for call in ("slow.retrying(retry_error_callback=done)(fail)",
                     "asyncio.run(slow.retrying(is_async=True, retry_error_callback=done)(afail))"):
            with self.subTest(call):
                self.bide("set", "slow", "attempts=3")
                self.assertEqual(self.change_while_asleep(f"""
                    def done(state):
                        return state.outcome.exception().__class__.__name__
                    print({call})
                    """, "attempts=1"), ["ConnectionResetError"])


# Puts bide into each object of Tenacity: it counts each attempt, and retries exactly
# when Tenacity does.
CHAINED = '''
import sys
import bide
import tenacity
from bide import _bide, _tenacity

test = bide.testing(declare="[all]\\nattempts = unlimited\\nwait = none\\nretry_on = any\\n"
                    "deadline = none\\n").start()
policy = bide.policy("all")
original = tenacity.BaseRetrying.iter


def iter(self, retry_state):
    call = getattr(retry_state, "_bide", None)
    if call is None:  # also of a state that a test has made
        retry_state._bide = call = _tenacity._Call(policy, retry_state)
    if retry_state.outcome is None:
        if call.state == 2:
            call.state = _bide.wait(call.box)
        assert call.state == 1, call.state
        return original(self, retry_state)
    error = retry_state.outcome.exception()
    try:
        do = original(self, retry_state)
    except BaseException:
        finish(call, error)
        raise
    if isinstance(do, tenacity.DoSleep):
        call.state = _bide.ended(call.box, bide.app("retry"))
        assert call.state == 2
    else:
        finish(call, error)
    return do


def finish(call, error):
    if error is not None:
        _bide.abandon(call.box)
    else:
        assert _bide.ended(call.box, bide.ok()) == 0


tenacity.BaseRetrying.iter = iter
import unittest
unittest.main(module=None, argv=["tests", "discover", "-s", sys.argv[1]], exit=False)
print("attempts", policy.stats()["attempts"])
'''


def find_suite(folder):
    """Returns the folder of Tenacity's tests, or None."""
    if os.environ.get("BIDE_TENACITY_SUITE"):
        return os.environ["BIDE_TENACITY_SUITE"]
    targets = subprocess.run(["apt-get", "indextargets"], capture_output=True, text=True, check=False)
    commands = [[sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary=:all:", "--retries=0",
                 "--no-build-isolation", "tenacity==" + metadata.version("tenacity")]]
    if "Created-By: Sources" in targets.stdout:
        commands.insert(0, ["apt-get", "source", "-qq", "python-tenacity"])
    for command in commands:
        try:
            subprocess.run(command, cwd=folder, timeout=60, capture_output=True, check=False)
        except subprocess.TimeoutExpired:
            pass
        for archive in glob.glob(f"{folder}/tenacity-*.tar.gz"):
            subprocess.run(["tar", "-xf", archive], cwd=folder, check=True)
        for tests in glob.glob(f"{folder}/*tenacity-*/tests"):
            return tests
    return None


@unittest.skipUnless(tenacity, "needs python3-tenacity")
class Suite(unittest.TestCase):
    def test_tenacitys_own_tests_pass_with_bide_in_each_object(self):
        with tempfile.TemporaryDirectory() as folder:
            suite = find_suite(folder)
            if suite is None:
                self.skipTest("needs Tenacity's sources: deb-src, pip, or their tests/ in BIDE_TENACITY_SUITE")
            done = subprocess.run([sys.executable, "-B", "-c", CHAINED, suite], text=True, check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertRegex(done.stdout, r"Ran \d+ test")
        self.assertRegex(done.stdout, r"\nOK\b", done.stdout)
        self.assertGreater(int(done.stdout.split()[-1]), 100)


if __name__ == "__main__":
    fixture.main()
