"""Threads, forked processes, signals and hooks, with a registry in the file system;
leaks."""
import json
import signal
import subprocess
import unittest

import fixture


class Processes(fixture.RegistryCase):
    def test_a_sleeping_call_follows_a_change(self):
        process = self.start("""
            def fail():
                raise ConnectionResetError
            print(bide.policy("slow").run(fail).attempts)
            """)
        self.wait_for_sleepers(1)
        self.bide("set", "slow", "attempts=1")
        self.assertEqual(process.communicate(timeout=60)[0].strip(), "1")

    def test_calls_are_counted_for_all(self):
        self.python("""
            bide.policy("pay")(lambda: 1)()
            for attempt in bide.policy("pay"):
                with attempt:
                    pass
            """)
        stats = json.loads(self.bide("stats", "pay", "--json"))["policies"][0]
        self.assertEqual(stats["calls"]["succeeded"], 2)

    def test_ctrl_c_ends_a_wait(self):
        for number, program in enumerate((
                "bide.policy('slow')(fail)()",
                "asyncio.run(bide.policy('slow')(afail)())",
                "for attempt in bide.policy('slow'):\n with attempt: fail()"), 1):
            with self.subTest(program):
                process = self.start("def fail(): raise ConnectionResetError\n"
                                     "async def afail(): raise ConnectionResetError\n"
                                     "try:\n " + program.replace("\n", "\n ") +
                                     "\nexcept KeyboardInterrupt: print('interrupted')\n"
                                     "print(bide.policy('slow').stats()['cancelled'])\n"
                                     "assert bide._registry.current().close() == 0\n")
                self.wait_for_sleepers(1)
                process.send_signal(signal.SIGINT)
                output, _ = process.communicate(timeout=60)
                self.assertEqual(output.split(), ["interrupted", str(number)])

    def test_a_signal_handler_runs_and_the_wait_goes_on(self):
        process = self.start("""
            signal.signal(signal.SIGUSR1, lambda *_: print("handled", flush=True))
            def fail():
                raise ConnectionResetError
            print(bide.policy("slow").run(fail).attempts)
            """)
        self.wait_for_sleepers(1)
        process.send_signal(signal.SIGUSR1)
        self.until(process, "handled")
        self.wait_for_sleepers(1)
        self.bide("set", "slow", "attempts=1")
        self.assertEqual(process.communicate(timeout=60)[0].strip(), "1")

    def test_threads_run_while_others_wait(self):
        process = self.start("""
            def fail():
                raise ConnectionResetError
            slow = bide.policy("slow")
            threads = [threading.Thread(target=slow.run, args=(fail,)) for _ in range(8)]
            for thread in threads:
                thread.start()
            sys.stdin.readline()
            print("alive", flush=True)
            for thread in threads:
                thread.join()
            print(slow.stats()["attempts"], flush=True)
            """)
        self.wait_for_sleepers(8)
        self.answer(process)
        self.until(process, "alive")
        self.bide("set", "slow", "attempts=1")
        self.until(process, "8")
        process.communicate(timeout=60)

    def test_one_block_in_two_threads_is_refused(self):
        process = self.start("""
            slow = iter(bide.policy("slow"))
            with next(slow):
                raise ConnectionResetError
            """ """
            thread = threading.Thread(target=lambda: next(slow, None))
            thread.start()
            sys.stdin.readline()
            try:
                next(slow)
            except RuntimeError as error:
                print(error, flush=True)
            thread.join()
            """)
        self.wait_for_sleepers(1)
        self.answer(process)
        self.until(process, "another thread is using the call")
        self.bide("set", "slow", "attempts=1")
        process.communicate(timeout=60)

    def test_forked_workers_use_what_their_parent_opened(self):
        # As gunicorn --preload and celery do: policies, guards, a call and a thread
        # that waits are there before the fork.
        process = self.start("""
            flaky = 0
            slow = bide.policy("slow")

            @bide.policy("pay")
            def pay():
                global flaky
                flaky += 1
                if flaky == 2:
                    raise ConnectionResetError
                return flaky

            def fail():
                raise ConnectionResetError

            assert pay() == 1
            threading.Thread(target=slow.run, args=(fail,), daemon=True).start()
            sys.stdin.readline()
            children = []
            for _ in range(3):
                child = os.fork()
                if child == 0:
                    assert pay() == 3
                    assert slow.run(fail).attempts == 1
                    assert bide._registry.current().close() == 0
                    os._exit(0)
                children.append(child)
            assert all(os.waitpid(child, 0)[1] == 0 for child in children)
            print(bide.policy("pay").stats()["succeeded"])
            """)
        self.wait_for_sleepers(1)
        self.answer(process)
        self.wait_for_sleepers(4)
        self.bide("set", "slow", "attempts=1")
        self.assertEqual(process.communicate(timeout=60)[0].strip(), "4")

    def test_a_fork_inside_a_call(self):
        output = self.python("""
            @bide.policy("pay")
            def attempt():
                child = os.fork()
                if child == 0:
                    raise ConnectionResetError
                os.waitpid(child, 0)
                return "parent"

            tries = 0
            try:
                print(attempt(), flush=True)
            except ConnectionResetError:
                os._exit(0)
            """)
        self.assertIn("parent", output)

    def test_a_missing_registry(self):
        output = self.python("""
            registry = bide.Registry(sys.argv[1])
            pay = bide.policy("pay", registry=registry)
            registry.declare("[pay]\\nattempts = 2\\nwait = none\\nretry_on = any\\n")
            print(pay.run(lambda: 1 / 0).attempts, pay.source, registry.status, registry.names
                  is not None)
            """, self.folder + "/none")
        self.assertEqual(output.strip(), "2 declared there is no registry True")

    def test_what_the_registry_knows(self):
        output = self.python("""
            pay = bide.policy("pay")
            print(pay.source, pay.version, pay.value("attempts"), bide._registry.current().status)
            print(bide._registry.current().names())
            try:
                pay.value("attemps")
            except ValueError as error:
                print(error)
            """)
        self.assertEqual(output.splitlines(), [
            "registry 1 4 None", "['gate', 'later', 'limited', 'once', 'pay', 'slow', 'turns']",
            "invalid argument"])


class Hooks(fixture.RegistryCase):
    def test_events(self):
        output = self.python("""
            def hook(event, fields):
                print(event, fields["policy"], fields.get("attempts", fields.get("number", "")))
            bide.configure(hook=hook, events=("before_attempt", "after_attempt", "before_wait",
                                              "at_verdict"))
            def flaky():
                global count
                count += 1
                if count < 2:
                    raise ConnectionResetError
            count = 0
            bide.policy("pay")(flaky)()
            """)
        self.assertEqual(output.splitlines(), [
            "before_attempt pay 1", "after_attempt pay 1", "before_wait pay 1",
            "before_attempt pay 2", "after_attempt pay 2", "at_verdict pay "])

    def test_changes(self):
        process = self.start("""
            def hook(event, fields):
                if event.startswith("on_"):
                    print(event, *(str(value) for value in fields.values()), flush=True)
            bide.configure(hook=hook)
            gate, pay = bide.policy("gate"), bide.policy("pay")
            pay.version
            def fail():
                raise ConnectionResetError
            gate.run(fail)
            gate.run(fail)
            print("ready", flush=True)
            sys.stdin.readline()
            pay.run(fail)
            """)
        self.until(process, "on_breaker gate  open")
        self.until(process, "ready")
        self.bide("set", "pay", "attempts=2")
        output, _ = process.communicate("\n", timeout=60)
        self.assertIn("on_policy pay  registry 2", output)

    def test_an_exception_in_a_hook_does_not_reach_the_call(self):
        output = self.python("""
            def hook(event, fields):
                raise KeyError(event)
            sys.unraisablehook = lambda what: print(repr(what.exc_value))
            bide.configure(hook=hook, events=["before_attempt"])
            print(bide.policy("pay")(lambda: "fine")(), bide._registry.current().close())
            """)
        self.assertEqual(output.split(), ["KeyError('before_attempt')", "fine", "0"])

    def test_ctrl_c_in_a_hook_is_not_lost(self):
        output = self.python("""
            def hook(event, fields):
                raise KeyboardInterrupt
            bide.configure(hook=hook, events=["before_attempt"])
            try:
                bide.policy("pay")(lambda: time.sleep(60))()
            except KeyboardInterrupt:
                print("interrupted")
            """)
        self.assertEqual(output.strip(), "interrupted")


class Places(fixture.RegistryCase):
    def test_a_sub_interpreter_is_refused(self):
        output = self.python("""
            try:
                import _xxsubinterpreters as interpreters
            except ImportError:
                print("cannot be used in a sub-interpreter")
                sys.exit()
            other = interpreters.create()
            try:
                interpreters.run_string(other, "import sys; sys.path = %r; import bide" % sys.path)
            except Exception as error:
                print(error)
            bide.policy("pay")(lambda: 1)()
            """)
        self.assertRegex(output, "cannot be used in a sub-interpreter|not support loading in subint")

    def test_a_library_of_another_version_is_reported(self):
        source = "const char *bide_version(void) { return \"0.9.3\"; }\n"
        library = self.folder + "/other.so"
        done = subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library],
                              input=source, text=True, check=False)
        if done.returncode:
            self.skipTest("needs cc")
        self.environment["LD_PRELOAD"] = library
        process = self.start("")
        lines = process.communicate(timeout=60)[0].splitlines()
        self.assertRegex(lines[-1], r"ImportError: .*package bide is version 0\.1\.\d+, the library "
                                    r".* is version 0\.9\.3")

    def test_calls_leave_nothing_behind(self):
        output = self.python("""
            import gc, resource, tracemalloc
            rules = ("[p]\\nattempts = 3\\nwait = none\\nretry_on = transient\\n"
                     "[l]\\nattempts = 2\\nwait = none\\nattempt_timeout = 1h\\n")
            test = bide.testing(declare=rules).start()
            p, limited = bide.policy("p"), bide.policy("l")

            def fail(error=ConnectionResetError):
                raise error
            async def afail(error=ConnectionResetError):
                await asyncio.sleep(0)
                raise error

            fine = p(lambda: object())
            failing, judged = p(fail), bide.policy("p", outcome=lambda v: bide.http(503))(object)
            afailing = p(afail)
            wrong = bide.policy("p", outcome=lambda v: v.missing)(object)

            async def coroutines():
                for function in (afailing, limited(afail)):
                    for arguments in ((), (KeyError,)):
                        try:
                            await function(*arguments)
                        except Exception:
                            pass
                await p.run(afail)
                try:
                    async for attempt in p:
                        with attempt:
                            await afail()
                except ConnectionResetError:
                    pass
                task = asyncio.create_task(afailing())
                await asyncio.sleep(0)
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    pass
                coroutine = afailing()
                coroutine.send(None)
                coroutine.close()

            def round():
                fine()
                judged()
                for arguments in ((), (KeyError,), (KeyboardInterrupt,)):
                    try:
                        failing(*arguments)
                    except BaseException:
                        pass
                try:
                    wrong()
                except AttributeError:
                    pass
                p.run(fail)
                for attempt in p:
                    with attempt:
                        break
                p(fail)
                p.stats(), p.value("attempts"), p.source, p.using(scope="eu")
                loop.run_until_complete(coroutines())

            loop = asyncio.new_event_loop()
            for _ in range(500):
                round()
            gc.collect()
            tracemalloc.start()
            begun, objects = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, len(gc.get_objects())
            memory = tracemalloc.get_traced_memory()[0]
            for _ in range(2000):
                round()
            gc.collect()
            print(len(gc.get_objects()) - objects, tracemalloc.get_traced_memory()[0] - memory,
                  resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begun)
            """)
        objects, traced, resident = map(int, output.split())
        self.assertLess(objects, 50)
        self.assertLess(traced, 150000, "bytes")
        self.assertLess(resident, 800, "KiB")


if __name__ == "__main__":
    fixture.main()
