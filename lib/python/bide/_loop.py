"""Calls of coroutines: waits in asyncio's loops, and time limits of attempts.

Each loop has a listener for each registry, with a watch of its own: the library
rings it when calls of this loop must be decided again."""
from __future__ import annotations

import asyncio
import os
import weakref
from typing import Any, Dict, List, Optional, Tuple

from . import _bide
from ._result import Result, result_of
from ._run import GO, RUNNING, WAIT, _running, begin, finish, meaning, outcome_of
from .outcomes import Outcome, classify


class Listener:
    """Wakes the waiting calls of one loop and registry."""

    def __init__(self, registry: Any) -> None:
        self.process = os.getpid()
        self.watch = _bide.watch(registry)
        self._fd = _bide.watch_fd(self.watch)
        self._waiting: Dict[asyncio.Future[None], bool] = {}  # is woken by each ring
        self.rings = 0

    def _ring(self) -> None:
        self.rings += 1
        is_for_calls = _bide.watch_clear(self.watch)
        for future, is_for_all in self._waiting.items():
            if is_for_all or is_for_calls:
                _wake(future)

    async def sleep(self, seconds: float, rings: Optional[int] = None) -> None:
        """Sleeps until the time is over or the watch rings for calls; with a number of
        rings, until there is another one, also for arrivals of deferred work."""
        if rings not in (None, self.rings):
            return
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        timer = loop.call_later(seconds, _wake, future)
        if not self._waiting:
            loop.add_reader(self._fd, self._ring)
        self._waiting[future] = rings is not None
        try:
            await future
        finally:
            timer.cancel()
            del self._waiting[future]
            if not self._waiting:
                loop.remove_reader(self._fd)


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


# The boxes of open registries, of each loop.
_listeners: "weakref.WeakKeyDictionary[Any, Dict[Any, Listener]]" = weakref.WeakKeyDictionary()


def listener_of(registry: Any) -> Optional[Listener]:
    """Returns the listener of the running loop; a forked process has its own.  None:
    the registry is closed, or waits take no time there."""
    if _bide.is_timeless(registry) or not _bide.is_open(registry):
        return None
    of_loop = _listeners.setdefault(asyncio.get_running_loop(), {})
    listener = of_loop.get(registry)
    if listener is None or listener.process != os.getpid():
        for other in [box for box in of_loop if not _bide.is_open(box)]:
            del of_loop[other]
        listener = of_loop[registry] = Listener(registry)
    return listener


def watch_of(call: Any) -> Any:
    """Returns the watch for the waits of a call in the running loop, or None."""
    listener = listener_of(_bide.registry_of(call))
    return listener and listener.watch


async def wait(call: Any) -> int:
    """Sleeps until a call no longer waits, and returns its state."""
    registry = _bide.registry_of(call)
    listener = listener_of(registry)
    while True:
        left = _bide.state(call)[1]
        if _bide.is_timeless(registry):
            _bide.advance(registry, left)
            left = 0
        if listener is not None and left > 0:
            await listener.sleep(left)
        else:
            await asyncio.sleep(left)
        state = _bide.resume(call)
        if state != WAIT:
            return state


# ---- deferred work ----

async def do_in_thread(function: Any, *args: Any) -> Any:
    """Calls a function in a thread.  A task that is cancelled waits for its end."""
    task = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await asyncio.wait([task])
        raise


class Taking:
    """Takes a piece of deferred work in a thread: leases wait for the disk.  If the task
    is cancelled meanwhile, what was taken is released: it was not tried."""

    def __init__(self, policy: Any) -> None:
        self._handle = policy._handle()
        self._registry = policy._registry()._box
        self._listener = listener_of(self._registry)
        self._rings = self._listener.rings if self._listener else 0
        self._taken: List[Any] = []
        self._due = 0.0
        self._is_cancelled = False

    def _run(self) -> None:
        taken = _bide.take(self._handle, 0)
        if taken:
            self._taken.append(taken)
            if self._is_cancelled:
                self._release()
        else:
            self._due = _bide.due(self._handle)

    def _release(self) -> None:
        self._is_cancelled = True
        try:
            _bide.release(self._taken.pop()[0])
        except (IndexError, _bide.RegistryError):  # not taken, or its lease will expire
            pass

    async def take(self) -> Any:
        """Returns what _bide.take returns."""
        try:
            await asyncio.to_thread(self._run)
        except BaseException:
            self._release()
            raise
        return self._taken.pop() if self._taken else None

    async def wait(self, seconds: float) -> None:
        """Sleeps until work may be due, at most for a time."""
        seconds = min(seconds, self._due, 5.0)
        if self._listener:
            await self._listener.sleep(seconds, self._rings)
        else:
            _bide.advance(self._registry, seconds)
            await asyncio.sleep(0)


# ---- attempts ----

class Limit:
    """Cancels the code of a block of the running task after some seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._is_over = False

    def _expire(self) -> None:
        self._is_over = True
        self._task.cancel()

    def __enter__(self) -> "Limit":
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelled = task.cancelling() if hasattr(task, "cancelling") else 0
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._expire)
        return self

    def end(self, error: Optional[BaseException]) -> Optional[BaseException]:
        """Returns the exception of the code; TimeoutError if its time was over."""
        self._timer.cancel()
        if not self._is_over:
            return error
        left = self._task.uncancel() if hasattr(self._task, "uncancel") else self._cancelled
        if isinstance(error, asyncio.CancelledError) and left <= self._cancelled:
            over = asyncio.TimeoutError("the attempt took longer than its time limit")
            over.__cause__ = error
            return over
        return error


async def _attempt(call: Any, awaitable: Any) -> Any:
    """Awaits an attempt, as long as its time limit allows."""
    left = _bide.state(call)[1]
    if left == float("inf"):
        return await awaitable
    limit = Limit(left)
    raised: Optional[BaseException] = None
    with_value: Any = None
    limit.__enter__()
    try:
        with_value = await awaitable
    except BaseException as error:  # pylint: disable=broad-except
        raised = error
    raised = limit.end(raised)
    try:
        if raised is not None:
            raise raised
        return with_value
    finally:
        raised = None


async def run_async(policy: Any, call: Any, state: int, function: Any, args: Any, kwargs: Any,
                    outcome: Optional[Outcome], value: Any, raised: Optional[Exception],
                    first: Any = None) -> Tuple[Any, Optional[Exception]]:
    """Runs a call to its end, as _run.run_sync does.  `first` is the awaitable of the
    first attempt, if it was made before the call began."""
    try:
        watch = watch_of(call)
        if state == RUNNING:
            state = begin(policy, call, args, kwargs, watch)
        elif watch is not None:
            _bide.set_watch(call, watch)
        if state == WAIT:
            state = await wait(call)
        while state == GO:
            if outcome is None:
                token = _running.set(call)
                try:
                    awaitable, first = first or function(*args, **kwargs), None
                    value, raised = await _attempt(call, awaitable), None
                except Exception as error:  # pylint: disable=broad-except
                    value, raised = None, error
                finally:
                    _running.reset(token)
                outcome = outcome_of(policy, value, raised)
            state = _bide.ended(call, outcome)
            outcome = None
            if state == WAIT:
                state = await wait(call)
        return value, raised
    except BaseException:
        _bide.abandon(call)
        raise
    finally:
        raised = None
        if first is not None and hasattr(first, "close"):
            first.close()


async def continue_async(policy: Any, call: Any, state: int, function: Any, args: Any, kwargs: Any,
                         value: Any, raised: Optional[Exception], verdict: Any) -> Any:
    """Continues a call of a guarded coroutine function.  Without an exception and a
    verdict, `value` is the coroutine of the first attempt."""
    try:
        first = None
        outcome = None
        if raised is not None:
            outcome = classify(raised)
        elif verdict is not None:
            outcome = meaning(verdict)
        else:
            first = value
        value, raised = await run_async(policy, call, state, function, args, kwargs or {}, outcome,
                                        value, raised, first)
        return finish(policy, call, value, raised)
    finally:
        raised = None


async def run(policy: Any, function: Any, args: Any, kwargs: Dict[str, Any]) -> Result[Any]:
    """Calls a coroutine function under a policy; returns how the call ended."""
    call = _bide.call(policy._handle())
    value, raised = await run_async(policy, call, RUNNING, function, args, kwargs, None, None,
                                    None)
    return result_of(policy, call, value, raised)
