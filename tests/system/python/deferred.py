"""Deferred work: storing it, and consuming it in loops, sync and async."""
import json
import signal
import textwrap

import fixture


class Deferred(fixture.RegistryCase):
    def test_work_is_stored_and_consumed(self):
        output = self.python("""
            later = bide.policy("later")
            one = later.defer(b"one", type="text/plain", key="1")
            assert later.defer(b"again", key="1") == one
            later.defer(b"two")
            for work in later.deferred():
                with work:
                    print(work.data, work.type, work.key, work.attempts, work.id == one)
            assert not list(later.deferred())
            """)
        self.assertEqual(output.splitlines(), ["b'one' text/plain 1 1 True", "b'two'   1 False"])

    def test_a_failed_call_stores_its_work(self):
        output = self.python("""
            def fail(order):
                raise ConnectionResetError
            later = bide.policy("later", work=lambda order: bide.Work(order.encode(), key=order))
            result = later.run(fail, "A1")
            print(result.end, result.deferred_id > 0)
            try:
                later(fail)("A2")
            except ConnectionResetError as error:
                print(getattr(error, "__notes__", ["deferred as"])[0].count("deferred as"))
            print(sorted(work.data for work in later.deferred()))
            """)
        self.assertEqual(output.splitlines(), ["deferred True", "1", "[b'A1', b'A2']"])

    def test_an_exception_returns_the_work(self):
        output = self.python("""
            import logging
            logging.basicConfig(format="%(message)s")
            later = bide.policy("later")
            later.defer(b"work")
            for work in later.deferred():
                with work:
                    raise ValueError("bad")
            print("done")
            """)
        self.assertIn("later: deferred work ", output)
        self.assertIn("ValueError: bad", output)
        shown = json.loads(self.bide("deferred", "list", "later", "--json"))
        self.assertIn("ValueError: bad", json.dumps(shown))

    def test_a_consumer_waits_for_work(self):
        process = self.start("""
            for work in bide.policy("later").deferred(wait=None):
                with work:
                    print(work.data.decode(), flush=True)
            """)
        self.python("bide.policy('later').defer(b'late')")
        self.until(process, "late")
        process.send_signal(signal.SIGINT)
        self.assertIn("KeyboardInterrupt", process.communicate(timeout=60)[0])

    def test_work_that_is_too_large(self):
        output = self.python("""
            try:
                bide.policy("later").defer(b"x" * 2**21)
            except ValueError as error:
                print(error)
            """)
        self.assertEqual(output.strip(), "invalid argument")


class Coroutines(fixture.RegistryCase):
    """The programs define `eat`, a coroutine that consumes what is due."""

    EAT = """
async def eat(wait=0, say=print):
    async for work in bide.policy("later").deferred(wait):
        async with work:
            say(work.data.decode(), work.attempts, flush=True)
"""

    def python(self, program, *argv):
        return super().python(self.EAT + textwrap.dedent(program), *argv)

    def start(self, program, *argv):
        return super().start(self.EAT + textwrap.dedent(program), *argv)

    def shown(self, name="later"):
        return json.loads(self.bide("deferred", "list", name, "--json"))["deferred"]

    def test_what_is_due_is_taken_and_reported(self):
        output = self.python("""
            later = bide.policy("later")
            later.defer(b"one")
            later.defer(b"two")
            asyncio.run(eat())
            later.defer(b"three")
            async def other():
                async for work in later.deferred():
                    with work:
                        print(work.data.decode())
            asyncio.run(other())
            """)
        self.assertEqual(output.split("\n")[:3], ["one 1", "two 1", "three"])
        self.assertEqual(self.shown(), [])

    def test_an_exception_returns_the_work(self):
        output = self.python("""
            import logging
            logging.basicConfig(format="%(message)s")
            bide.policy("later").defer(b"work")
            def refuse(*words, flush):
                raise ValueError("bad")
            asyncio.run(eat(0, refuse))
            print("done")
            """)
        self.assertIn("later: deferred work ", output)
        self.assertTrue(output.endswith("done\n"))
        self.assertIn("ValueError: bad", json.dumps(self.shown()))

    def test_a_consumer_hears_of_work(self):
        """Of another process, while a call sleeps in the same loop, which shares its watch;
        there is no other wake-up before the end of the test."""
        process = self.start("""
            import bide._loop
            sleep = bide._loop.Listener.sleep
            async def long_sleep(listener, seconds, rings=None):
                print("asleep", flush=True)
                await sleep(listener, 3600, rings)
            bide._loop.Listener.sleep = long_sleep
            @bide.policy("slow")
            async def fail():
                raise ConnectionResetError
            async def main():
                await asyncio.gather(fail(), eat(None))
            asyncio.run(main())
            """)
        self.until(process, "asleep")
        self.until(process, "asleep")
        for word in ("one", "two"):
            self.bide("deferred", "put", "later", text=word)
            self.until(process, word + " 1")
        process.send_signal(signal.SIGINT)
        self.assertIn("KeyboardInterrupt", process.communicate(timeout=60)[0])

    def test_work_that_arrives_while_a_consumer_looks_is_not_missed(self):
        """A call of the same loop takes the ring away while the thread looks."""
        self.python("""
            import bide._loop
            run = bide._loop.Taking._run
            looks = []
            def look(taking):
                run(taking)
                looks.append(1)
                if len(looks) == 1: # nothing was there; now there is, and the loop hears of it
                    bide.policy("later").defer(b"late")
                    while taking._listener.rings == taking._rings:
                        time.sleep(0.001)
            bide._loop.Taking._run = look
            sleep = bide._loop.Listener.sleep
            bide._loop.Listener.sleep = lambda self, seconds, rings=None: sleep(self, 3600, rings)
            @bide.policy("slow")
            async def fail():
                raise ConnectionResetError
            async def main():
                call = asyncio.create_task(fail())
                while not bide._loop.listener_of(bide.policy("later")._registry()._box)._waiting:
                    await asyncio.sleep(0)
                async for work in bide.policy("later").deferred(None):
                    async with work:
                        assert work.data == b"late"
                    break
                call.cancel()
            asyncio.run(main())
            """)

    def test_work_that_becomes_due_is_taken_when_it_is(self):
        output = self.python("""
            later = bide.policy("later")
            later.defer(b"second", delay=0.2)
            later.defer(b"first")
            import bide._loop
            sleep = bide._loop.Listener.sleep
            async def short_sleep(listener, seconds, rings=None):
                assert seconds <= 0.2, seconds
                await sleep(listener, seconds, rings)
            bide._loop.Listener.sleep = short_sleep
            asyncio.run(eat(1000, lambda *words, flush: print(*words) or words[0] == "first" or sys.exit()))
            """)
        self.assertEqual(output.splitlines(), ["first 1", "second 1"])

    def test_a_cancelled_consumer_releases_what_it_has_just_taken(self):
        """It is due at once and does not count, whenever the cancellation comes."""
        self.bide("deferred", "put", "later", text="work")
        for moment in ("before", "after"):
            with self.subTest(moment):
                self.python("""
                    import bide._loop
                    taking = threading.Event()
                    go = threading.Event()
                    run = bide._loop._bide.take
                    def take(handle, seconds):
                        before = sys.argv[1] == "before"
                        taken = None if before else run(handle, seconds)
                        taking.set()
                        go.wait()
                        return run(handle, seconds) if before else taken
                    bide._loop._bide.take = take
                    async def main():
                        task = asyncio.create_task(eat(None))
                        await asyncio.to_thread(taking.wait)
                        task.cancel()
                        try:
                            await task
                        except asyncio.CancelledError:
                            go.set()
                    asyncio.run(main())
                    """, moment)
                piece, = self.shown()
                self.assertEqual((piece["state"], piece["attempts"], piece["due_in_ms"]),
                                 ("waiting", 0, 0))

    def test_cancellation_in_the_block_returns_the_work(self):
        self.python("""
            async def main():
                bide.policy("later").defer(b"work")
                begun = asyncio.Event()
                async def hang():
                    async for work in bide.policy("later").deferred(None):
                        async with work:
                            begun.set()
                            await asyncio.sleep(3600)
                task = asyncio.create_task(hang())
                await begun.wait()
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    print("cancelled")
            asyncio.run(main())
            """)
        piece, = self.shown()
        self.assertEqual((piece["state"], piece["attempts"]), ("waiting", 1))
        self.assertIn("CancelledError", piece["last_error"])

    def test_a_report_is_made_though_its_task_is_cancelled(self):
        """Also if it still waits for a thread."""
        self.python("""
            from concurrent.futures import ThreadPoolExecutor
            async def main():
                loop, go, begun = asyncio.get_running_loop(), threading.Event(), asyncio.Event()
                loop.set_default_executor(ThreadPoolExecutor(1))
                def occupy(*words, flush):
                    loop.run_in_executor(None, go.wait)
                    begun.set()
                bide.policy("later").defer(b"work")
                task = asyncio.create_task(eat(0, occupy))
                await begun.wait()
                for step in range(20):
                    await asyncio.sleep(0)
                    if step == 10:
                        task.cancel()
                assert not task.done()
                go.set()
                try:
                    await task
                except asyncio.CancelledError:
                    print("cancelled")
            asyncio.run(main())
            """)
        self.assertEqual(self.shown(), [])

    def test_a_forked_consumer_has_a_watch_of_its_own(self):
        process = self.start("""
            bide.policy("later").defer(b"parent")
            asyncio.run(eat())
            pid = os.fork()
            if pid == 0:
                asyncio.run(eat(None))
                os._exit(0)
            print("forked", flush=True)
            sys.stdin.readline()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            """)
        self.until(process, "forked")
        self.bide("deferred", "put", "later", text="child")
        self.until(process, "child 1")
        self.answer(process)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)

    def test_workers_share_the_work(self):
        """Each piece is done once, by coroutines of two loops."""
        output = self.python("""
            for number in range(40):
                bide.policy("later").defer(str(number).encode())
            found = []
            async def main():
                say = lambda data, *_, flush: found.append(int(data))
                await asyncio.gather(*[eat(0, say) for _ in range(5)])
            threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(2)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            print(sorted(found) == list(range(40)))
            """)
        self.assertEqual(output.strip(), "True")

    def test_waiting_takes_no_time_in_a_test(self):
        output = self.python("""
            bide.configure(private=True, no_wait=True)
            later = bide.policy("later")
            later.defer(b"one", delay=3600)
            later.defer(b"two", delay=7200)
            work = later.deferred(wait=4000)
            before = work.now()
            with next(work) as one:
                print(one.data.decode(), round(work.now() - before))
            asyncio.run(eat(4000))
            print(round(work.now() - before))
            """)
        self.assertEqual(output.splitlines(), ["one 3600", "two 1", "11200"])


if __name__ == "__main__":
    fixture.main()
