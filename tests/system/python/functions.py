"""Guarded functions, methods and blocks, and results: with a clock that waits
advance, in this process."""
import functools
import inspect
import pickle
import unittest

import bide
import fixture


class Flaky:
    """A function that fails a number of times, and notes its calls."""

    def __init__(self, failures, error=ConnectionResetError):
        self.failures, self.error, self.calls = failures, error, 0

    def __call__(self, value="done"):
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error("failure", self.calls)
        return value


@bide.policy("pay")
def at_module_level(value):
    """Returns the value."""
    return value


class Functions(unittest.TestCase):
    def setUp(self):
        self.test = bide.testing(declare=fixture.RULES).start()
        self.addCleanup(self.test.stop)
        self.pay = bide.policy("pay")

    def test_a_failure_is_retried_and_the_value_returned(self):
        flaky = Flaky(2)
        self.assertEqual(self.pay(flaky)(7), 7)
        self.assertEqual(flaky.calls, 3)
        self.assertEqual(self.pay.stats()["retries"], 2)

    def test_waits_are_those_of_the_policy(self):
        begun = self.test.now
        self.pay(Flaky(2))()
        self.assertAlmostEqual(self.test.now - begun, 0.1 + 0.2, places=6)

    def test_a_call_waits_for_its_turn_before_its_first_attempt(self):
        turns, begun = bide.policy("turns"), self.test.now
        guarded = turns(Flaky(0))
        self.assertEqual([guarded(n) for n in range(3)], [0, 1, 2])
        self.assertEqual(turns.run(Flaky(0)).value, "done")
        rounds = 0
        for attempt in turns:
            with attempt:
                rounds += 1
        self.assertEqual(rounds, 1)
        self.assertAlmostEqual(self.test.now - begun, 0.4, places=3)
        self.assertEqual(turns.stats()["succeeded"], 5)

    def test_the_exception_of_the_last_attempt_is_raised_with_a_note(self):
        flaky = Flaky(9)
        caught = None
        try:
            self.pay(flaky)()
        except ConnectionResetError as error:
            caught = error
        self.assertEqual(caught.args, ("failure", 4))
        if hasattr(caught, "add_note"):
            self.assertEqual(caught.__notes__,
                             ["bide: pay: exhausted after 4 attempts (attempts): errno.ECONNRESET"])
        trace = caught.__traceback__
        names = []
        while trace:
            names.append(trace.tb_frame.f_code.co_name)
            trace = trace.tb_next
        self.assertEqual(names[-1], "__call__", "the traceback ends where it was raised")

    def test_a_programming_error_is_not_retried(self):
        flaky = Flaky(9, KeyError)
        with self.assertRaises(KeyError):
            self.pay(flaky)()
        self.assertEqual(flaky.calls, 1)
        self.assertEqual(self.pay.stats()["rejected"], 1)

    def test_a_stop_of_the_program_is_no_failure(self):
        for error in (KeyboardInterrupt, SystemExit, GeneratorExit):
            with self.assertRaises(error):
                self.pay(Flaky(1, error))()
        self.assertEqual(self.pay.stats()["cancelled"], 3)
        self.assertEqual(self.pay.stats()["attempts_failed"], 0)

    def test_values_that_are_failures_are_retried_and_returned(self):
        answers = iter([503, 429, 200])
        judge = bide.policy("pay", outcome=bide.http)
        self.assertEqual(judge(lambda: next(answers))(), 200)
        self.assertEqual(judge(lambda: 503)(), 503)
        self.assertEqual(self.pay.stats()["exhausted"], 1)
        named = bide.policy("pay", outcome=lambda value: value == 1)
        self.assertEqual(str(named.run(lambda: 2).outcome), "app.failed")
        self.assertTrue(named.run(lambda: 1).ok)

    def test_an_exception_in_outcome_leaves_no_call_open(self):
        broken = bide.policy("pay", outcome=lambda value: value.missing)
        with self.assertRaises(AttributeError):
            broken(lambda: 1)()
        self.assertEqual(self.pay.stats()["cancelled"], 1)
        try:
            broken.run(lambda: 1)
        except AttributeError:  # its traceback keeps the frames of the call
            self.assertEqual(self.pay.stats()["cancelled"], 2)
            self.assertEqual(self.test.registry.close(), 0, "no call is in progress")

    def test_a_result_for_each_call(self):
        result = self.pay.run(Flaky(2), "x")
        self.assertTrue(result.ok)
        self.assertEqual((result.value, result.attempts, result.verdict), ("x", 3, "succeeded"))
        self.assertAlmostEqual(result.slept, 0.3, places=6)
        result = self.pay.run(Flaky(9))
        self.assertEqual((result.verdict, result.reason, str(result.outcome)),
                         ("exhausted", "attempts", "errno.ECONNRESET"))
        with self.assertRaises(ConnectionResetError):
            result.get()

    def test_methods(self):
        class Shop:
            """Has methods of each kind."""
            pay = self.pay

            @pay
            def plain(self, value):
                """Returns both."""
                return self, value

            @pay
            @classmethod
            def of_class(cls, value):
                """Returns both."""
                return cls, value

            @staticmethod
            @pay
            def static(value):
                """Returns it."""
                return value

        shop = Shop()
        self.assertEqual(shop.plain(1), (shop, 1))
        self.assertEqual(Shop.plain(shop, 2), (shop, 2))
        bound = shop.plain
        self.assertEqual(bound(value=3), (shop, 3))
        self.assertEqual(Shop.of_class(4), (Shop, 4))
        self.assertEqual(shop.static(5), 5)

    def test_a_guard_looks_like_its_function(self):
        self.assertEqual(at_module_level.__name__, "at_module_level")
        self.assertEqual(at_module_level.__doc__, "Returns the value.")
        self.assertEqual(str(inspect.signature(at_module_level)), "(value)")
        self.assertFalse(inspect.iscoroutinefunction(at_module_level))
        self.assertIs(at_module_level.policy.__class__, bide.Policy)

    def test_guards_policies_results_and_errors_can_be_pickled(self):
        self.assertIs(pickle.loads(pickle.dumps(at_module_level)), at_module_level)
        policy = pickle.loads(pickle.dumps(bide.policy("pay", scope="eu", outcome=bide.http)))
        self.assertEqual((policy.name, policy.scope, policy.outcome), ("pay", "eu", bide.http))
        result = pickle.loads(pickle.dumps(self.pay.run(Flaky(9))))
        self.assertEqual((result.attempts, str(result.outcome)), (4, "errno.ECONNRESET"))
        error = pickle.loads(pickle.dumps(bide.Refused(result)))
        self.assertEqual(error.result.attempts, 4)
        with self.assertRaises(TypeError):
            pickle.dumps(self.test.registry)

    def test_generators_are_refused(self):
        def items():
            yield 1

        async def later():
            yield 1

        for function in (items, later, functools.partial(items)):
            with self.assertRaisesRegex(TypeError, "generator"):
                self.pay(function)
            with self.assertRaisesRegex(TypeError, "generator"):
                self.pay.run(function)

    def test_wrong_names_are_refused_at_once(self):
        for name in ("Pay", "", "a b", "x" * 49):
            with self.assertRaises(ValueError):
                bide.policy(name)

    def test_a_call_that_is_not_allowed_raises_refused(self):
        gate = bide.policy("gate")
        for _ in range(2):
            gate.run(Flaky(1))
        flaky = Flaky(0)
        with self.assertRaises(bide.Refused) as caught:
            gate(flaky)()
        self.assertEqual(flaky.calls, 0)
        self.assertEqual(caught.exception.result.reason, "breaker")
        self.assertGreater(caught.exception.result.ask_again, 0)
        self.assertEqual(str(caught.exception), "gate: refused (breaker)")
        with self.assertRaises(bide.Refused):
            gate.run(flaky).get()

    def test_a_deadline_for_each_call(self):
        result = self.pay.using(deadline=0.25).run(Flaky(9))
        self.assertEqual((result.reason, result.attempts), ("deadline", 2))
        with self.assertRaises(ConnectionResetError):
            self.pay.using(deadline=0.25)(Flaky(9))()

    def test_the_time_limit_of_an_attempt(self):
        seen = []
        bide.policy("limited")(lambda: seen.append(bide.attempt()))()
        self.assertEqual(seen[0].number, 1)
        self.assertAlmostEqual(seen[0].timeout, 0.02, places=6)
        numbers = []

        def fail():
            numbers.append(bide.attempt().number)
            raise ConnectionResetError

        self.pay.run(fail)
        self.assertEqual(numbers, [1, 2, 3, 4])

    def test_an_exception_in_a_classification_leaves_no_call_open(self):
        bide.outcomes.register(KeyError, lambda error: error.missing)
        self.addCleanup(bide.outcomes.unregister, KeyError)
        with self.assertRaises(AttributeError):
            self.pay(Flaky(9, KeyError))()
        self.assertEqual(self.test.registry.close(), 0)


class Blocks(unittest.TestCase):
    def setUp(self):
        self.test = bide.testing(declare=fixture.RULES).start()
        self.addCleanup(self.test.stop)
        self.pay = bide.policy("pay")

    def test_a_block_is_retried_until_it_succeeds(self):
        numbers = []
        for attempt in self.pay:
            with attempt:
                numbers.append(attempt.number)
                if attempt.number < 3:
                    raise ConnectionResetError
        self.assertEqual(numbers, [1, 2, 3])
        self.assertEqual(self.pay.stats()["recovered"], 1)

    def test_the_last_exception_leaves_the_loop(self):
        with self.assertRaises(ConnectionResetError) as caught:
            for attempt in self.pay:
                with attempt:
                    raise ConnectionResetError(attempt.number)
        self.assertEqual(caught.exception.args, (4,))

    def test_an_outcome_without_an_exception(self):
        with self.assertRaises(bide.Failed) as caught:
            for attempt in self.pay:
                with attempt:
                    attempt.outcome = bide.http(503)
        self.assertEqual(str(caught.exception), "pay: exhausted after 4 attempts (attempts): http.503")

    def test_break_inside_a_block_is_a_success(self):
        for attempt in self.pay:
            with attempt:
                break
        self.assertEqual(self.pay.stats()["succeeded"], 1)

    def test_a_loop_that_is_left_ends_its_call(self):
        for attempt in self.pay:
            with attempt:
                raise ConnectionResetError
            break
        self.assertEqual(self.pay.stats()["cancelled"], 1)
        self.assertEqual(self.test.registry.close(), 0)

    def test_code_outside_of_with_is_refused(self):
        with self.assertRaisesRegex(RuntimeError, "with attempt"):
            for _ in self.pay:
                pass
        self.assertEqual(self.test.registry.close(), 0)

    def test_a_stop_inside_a_block_ends_the_call(self):
        with self.assertRaises(KeyboardInterrupt):
            for attempt in self.pay:
                with attempt:
                    raise KeyboardInterrupt
        self.assertEqual(self.pay.stats()["cancelled"], 1)

    def test_a_refused_block(self):
        gate = bide.policy("gate")
        for _ in range(2):
            gate.run(Flaky(1))
        with self.assertRaises(bide.Refused):
            for attempt in gate:
                with attempt:
                    self.fail("not allowed")


class Testing(unittest.TestCase):
    def test_a_preview_of_a_policy(self):
        with bide.testing(declare=fixture.RULES) as test:
            result, waits = test.preview("pay", bide.http(503))
            self.assertEqual(result.attempts, 4)
            self.assertEqual([round(wait, 6) for wait in waits], [0.1, 0.2, 0.4])
            result, waits = test.preview("pay", bide.http(503), bide.http(404))
            self.assertEqual((result.verdict, len(waits)), ("rejected", 1))

    def test_each_run_waits_the_same(self):
        rules = "[draw]\nattempts = 9\nretry_on = transient\n"
        waits = []
        for _ in range(2):
            with bide.testing(declare=rules) as test:
                waits.append(test.preview("draw", bide.http(503))[1])
        self.assertEqual(waits[0], waits[1])
        self.assertNotEqual(waits[0][0], waits[0][1])

    def test_guards_follow_the_registry_in_use(self):
        with bide.testing(declare="[pay]\nattempts = 2\nwait = none\nretry_on = any\n"):
            guarded = bide.policy("pay")(Flaky(9))
            with self.assertRaises(ConnectionResetError):
                guarded()
            self.assertEqual(guarded.__wrapped__.calls, 2)
            with bide.testing(declare="[pay]\nattempts = 3\nwait = none\nretry_on = any\n"):
                with self.assertRaises(ConnectionResetError):
                    guarded()
                self.assertEqual(guarded.__wrapped__.calls, 5)
            with self.assertRaises(ConnectionResetError):
                guarded()
            self.assertEqual(guarded.__wrapped__.calls, 7)

    def test_rules_with_a_mistake(self):
        with self.assertRaisesRegex(ValueError, "declared:2: attemps"):
            bide.testing(declare="[pay]\nattemps = 3\n").start()

    def test_the_clock_can_be_advanced(self):
        with bide.testing() as test:
            begun = test.now
            test.advance(5)
            self.assertEqual(test.now - begun, 5)

    def test_a_closed_registry_is_refused(self):
        registry = bide.Registry("/nonexistent", private=True)
        guarded = bide.policy("pay", registry=registry)(Flaky(0))
        guarded()
        registry.close()
        for _ in range(2):
            with self.assertRaisesRegex(ValueError, "closed"):
                guarded()


if __name__ == "__main__":
    fixture.main()
