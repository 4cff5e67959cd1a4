"""Coroutines under policies: asyncio's loops, cancellation, time limits, changes
while calls sleep."""
import asyncio
import gc
import inspect
import sys
import unittest
import warnings

import bide
import fixture


class Coroutines(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.test = bide.testing(declare=fixture.RULES).start()
        self.addCleanup(self.test.stop)
        self.pay = bide.policy("pay")
        self.calls = 0

    async def flaky(self, failures, error=ConnectionResetError):
        """Fails a number of times."""
        self.calls += 1
        await asyncio.sleep(0)
        if self.calls <= failures:
            raise error(self.calls)
        return self.calls

    async def test_a_failure_is_retried(self):
        self.assertEqual(await self.pay(self.flaky)(2), 3)
        self.assertEqual(self.pay.stats()["recovered"], 1)

    async def test_a_call_waits_for_its_turn_before_its_first_attempt(self):
        turns, begun = bide.policy("turns"), self.test.now
        guarded = turns(self.flaky)
        self.assertEqual([await guarded(0) for _ in range(3)], [1, 2, 3])
        self.assertEqual((await turns.run(self.flaky, 0)).value, 4)
        async for attempt in turns:
            async with attempt:
                self.calls += 1
        self.assertEqual(self.calls, 5)
        self.assertAlmostEqual(self.test.now - begun, 0.4, places=3)

    async def test_success_at_once(self):
        self.assertEqual(await self.pay(self.flaky)(0), 1)
        self.assertEqual(await self.pay(self.flaky)(failures=0), 2)
        self.assertEqual(self.pay.stats()["succeeded"], 2)

    async def test_the_last_exception_is_raised(self):
        with self.assertRaises(ConnectionResetError) as caught:
            await self.pay(self.flaky)(9)
        self.assertEqual(caught.exception.args, (4,))
        if sys.version_info >= (3, 11):
            self.assertIn("exhausted after 4 attempts", caught.exception.__notes__[0])

    async def test_values_that_are_failures(self):
        async def answer():
            self.calls += 1
            return 503 if self.calls < 3 else 200

        self.assertEqual(await bide.policy("pay", outcome=bide.http)(answer)(), 200)
        self.assertEqual(self.calls, 3)

    async def test_results(self):
        result = await self.pay.run(self.flaky, 2)
        self.assertEqual((result.value, result.attempts), (3, 3))
        result = await self.pay.run(self.flaky, 99)
        self.assertEqual((result.verdict, str(result.outcome)), ("exhausted", "errno.ECONNRESET"))

    async def test_blocks(self):
        async for attempt in self.pay:
            with attempt:
                await self.flaky(2)
        self.assertEqual(attempt.number, 3)
        self.calls = 0
        with self.assertRaises(ConnectionResetError):
            async for attempt in self.pay:
                async with attempt:
                    await self.flaky(9)
        self.assertEqual(self.calls, 4)

    async def test_guards_are_coroutine_functions(self):
        guarded = self.pay(self.flaky)
        self.assertTrue(asyncio.iscoroutinefunction(guarded))
        if sys.version_info >= (3, 11):
            self.assertTrue(inspect.iscoroutinefunction(guarded))
        self.assertTrue(asyncio.iscoroutinefunction(self.pay(guarded)))
        task = asyncio.create_task(guarded(0))
        self.assertIn("flaky", repr(task))
        self.assertEqual(await task, 1)
        self.assertEqual(await asyncio.gather(guarded(0), guarded(0)), [3, 3])
        self.assertEqual(await asyncio.wait_for(guarded(0), 5), 4)

    async def test_methods_and_nested_guards(self):
        test = self

        class Shop:
            """Has a method."""

            @bide.policy("pay")
            @bide.policy("once")
            async def pay(self, failures):
                """Fails."""
                return self, await test.flaky(failures)

        shop = Shop()
        self.assertEqual(await shop.pay(2), (shop, 3))
        self.assertEqual(bide.policy("once").stats()["attempts"], 3)

    async def test_cancellation_is_no_failure_and_is_not_retried(self):
        async def hang():
            self.calls += 1
            await asyncio.sleep(3600)

        for make in (self.pay(hang), lambda: self.pay.run(hang)):
            task = asyncio.ensure_future(make())
            await asyncio.sleep(0.01)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
        self.assertEqual(self.calls, 2)
        stats = self.pay.stats()
        self.assertEqual((stats["cancelled"], stats["attempts_failed"]), (2, 0))
        self.assertEqual(self.test.registry.close(), 0)

    async def test_the_time_limit_of_an_attempt_cancels_it(self):
        limits = []

        async def hang():
            self.calls += 1
            limits.append(bide.attempt())
            if self.calls < 2:
                await asyncio.sleep(3600)
            return self.calls

        limited = bide.policy("limited")
        self.assertEqual(await limited(hang)(), 2)
        self.assertEqual([info.number for info in limits], [1, 2])
        self.assertAlmostEqual(limits[0].timeout, 0.02, places=3)
        self.calls = -9
        result = await limited.run(hang)
        self.assertEqual(str(result.outcome), "errno.ETIMEDOUT")
        self.assertIsInstance(result.exception, asyncio.TimeoutError)
        numbers = []
        with self.assertRaises(asyncio.TimeoutError):
            async for attempt in limited:
                with attempt:
                    numbers.append(attempt.number)
                    await asyncio.sleep(3600)
        self.assertEqual(numbers, [1, 2])

    async def test_a_cancelled_attempt_with_a_time_limit(self):
        async def hang():
            await asyncio.sleep(3600)

        task = asyncio.create_task(bide.policy("limited", registry=self.test.registry)(hang)())
        await asyncio.sleep(0)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task

    async def test_a_refused_call(self):
        gate = bide.policy("gate")
        for _ in range(2):
            await gate.run(self.flaky, 99)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with self.assertRaises(bide.Refused):
                await gate(self.flaky)(0)
            gc.collect()
        self.assertEqual(self.calls, 1)
        self.assertEqual(warned, [], "no coroutine that nobody awaited")

    async def test_a_coroutine_that_nobody_awaits_is_reported(self):
        with self.assertWarnsRegex(RuntimeWarning, "never awaited"):
            self.pay(self.flaky)(0)
        self.assertEqual(self.pay.stats()["attempts"], 0)

    async def test_a_coroutine_is_awaited_once(self):
        coroutine = self.pay(self.flaky)(0)
        await coroutine
        with self.assertRaises(RuntimeError):
            await coroutine

    async def test_closing_a_coroutine_ends_its_call(self):
        coroutine = self.pay(self.flaky)(0)
        coroutine.send(None)
        coroutine.close()
        self.assertEqual(self.pay.stats()["cancelled"], 1)
        coroutine = self.pay(self.flaky)(0)
        coroutine.send(None)
        with self.assertRaises(KeyError):
            coroutine.throw(KeyError("thrown"))
        self.assertEqual(self.pay.stats()["rejected"], 1)

    async def test_awaitables_that_are_no_coroutines(self):
        class Request:
            """Is callable, and its calls are awaited."""

            async def __call__(self):
                return 7

        self.assertEqual(await self.pay(Request())(), 7)

    async def test_closing_the_registry_with_a_call_in_flight(self):
        done = asyncio.get_running_loop().create_future()

        async def attempt():
            self.calls += 1
            if self.calls == 1:
                await done
                raise ConnectionResetError
            return self.calls

        task = asyncio.create_task(self.pay(attempt)())
        await asyncio.sleep(0)
        self.assertEqual(self.test.registry.close(), 1)
        done.set_result(None)
        self.assertEqual(await task, 2)


class Changes(fixture.RegistryCase):
    """Changes of the registry, while coroutines of other processes sleep."""

    def test_each_loop_follows_a_change(self):
        process = self.start("""
            from bide import _loop
            sleep = _loop.Listener.sleep  # which only the watch ends here:
            _loop.Listener.sleep = lambda self, seconds: sleep(self, 3600)
            slow = bide.policy("slow")

            @slow
            async def fail():
                raise ConnectionResetError

            async def main():
                done = await asyncio.gather(*(fail() for _ in range(5)), return_exceptions=True)
                assert all(isinstance(e, ConnectionResetError) for e in done), done

            threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            print(slow.stats()["attempts"])
            """)
        self.wait_for_sleepers(15)
        self.bide("set", "pay", "attempts=9")  # of another policy
        self.bide("set", "slow", "attempts=1")
        output, _ = process.communicate(timeout=60)
        self.assertEqual(output.strip(), "15")

    def test_a_forked_child_has_a_loop_of_its_own(self):
        process = self.start("""
            slow = bide.policy("slow")

            @slow
            async def fail():
                raise ConnectionResetError

            @bide.policy("pay")
            async def fine():
                return "fine"

            async def main():
                try:
                    await fail()
                except ConnectionResetError:
                    return os.getpid()

            assert asyncio.run(fine()) == "fine"
            child = os.fork()
            assert asyncio.run(main()) == os.getpid()
            if child:
                assert os.waitpid(child, 0)[1] == 0
                print("both")
            """)
        self.wait_for_sleepers(2)
        self.bide("set", "slow", "attempts=1")
        self.assertEqual(process.communicate(timeout=60)[0].strip(), "both")

    def test_a_sleeping_task_can_be_cancelled(self):
        process = self.start("""
            slow = bide.policy("slow")

            @slow
            async def fail():
                raise ConnectionResetError

            async def main():
                task = asyncio.create_task(fail())
                await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    print(slow.stats()["cancelled"])

            asyncio.run(main())
            """)
        self.wait_for_sleepers(1)
        self.assertEqual(process.communicate("\n", timeout=60)[0].strip(), "1")


if __name__ == "__main__":
    fixture.main()
