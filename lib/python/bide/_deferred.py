"""Deferred work: taking pieces that are due, and reporting what became of them."""
from __future__ import annotations

import logging
from typing import Any, Optional

from . import _bide

_log = logging.getLogger("bide")


class DeferredWork:
    """A piece of work, leased to this consumer.  `with work:` reports it as done, or
    after an exception as not done: the exception is logged, and the work is due again
    later.  A piece that nobody reports is due again when its lease expires.
    `async with work:` is the same, and reports in a thread: reports wait for the disk."""

    __slots__ = ("_box", "_policy", "is_reported", "id", "data", "type", "key", "attempts",
                 "stored", "last_error")

    id: int
    data: bytes
    type: str
    key: str
    attempts: int  # how often it was taken, with this time
    stored: float  # seconds since 1970
    last_error: str

    def __init__(self, policy: Any, values: Any) -> None:
        self._policy, self.is_reported = policy, False
        (self._box, self.id, self.data, self.type, self.key, self.attempts, self.stored,
         self.last_error) = values

    def ack(self) -> None:
        """Reports that the work is done, and removes it."""
        _bide.ack(self._box)
        self.is_reported = True

    def nack(self, reason: Optional[str] = None) -> None:
        """Reports that the work could not be done; it is due again later."""
        _bide.nack(self._box, reason)
        self.is_reported = True

    def extend(self) -> None:
        """Begins the time of the lease anew."""
        _bide.extend(self._box)

    def __enter__(self) -> "DeferredWork":
        return self

    def __exit__(self, kind: Any, error: Optional[BaseException], trace: Any) -> bool:
        if self.is_reported:
            return False
        if error is None:
            self.ack()
            return False
        self.nack(f"{type(error).__name__}: {error}"[:200])
        if not isinstance(error, Exception):
            return False
        _log.warning("%s: deferred work %d failed, attempt %d", self._policy.name, self.id,
                     self.attempts, exc_info=error)
        return True

    async def __aenter__(self) -> "DeferredWork":
        return self

    async def __aexit__(self, kind: Any, error: Optional[BaseException], trace: Any) -> bool:
        from ._loop import do_in_thread  # pylint: disable=import-outside-toplevel

        if kind is GeneratorExit:  # its loop has ended
            return self.__exit__(kind, error, trace)
        return await do_in_thread(self.__exit__, kind, error, trace)


class Deferred:
    """The work of a policy that is due, for `for` and `async for`."""

    def __init__(self, policy: Any, wait: Optional[float]) -> None:
        self._policy, self._wait = policy, wait

    def now(self) -> float:
        """Returns the time of the policy's registry, in seconds."""
        return _bide.now(self._policy._registry()._box)

    def end(self) -> float:
        """Returns the time at which waiting for the next piece ends."""
        return float("inf") if self._wait is None else self.now() + self._wait

    def __iter__(self) -> "Deferred":
        return self

    def __next__(self) -> DeferredWork:
        end = self.end()
        while True:
            left = min(5.0, end - self.now())
            taken = _bide.take(self._policy._handle(), left)
            if taken:
                return DeferredWork(self._policy, taken)
            if self.now() >= end:
                raise StopIteration

    def __aiter__(self) -> "Deferred":
        return self

    async def __anext__(self) -> DeferredWork:
        from ._loop import Taking  # pylint: disable=import-outside-toplevel

        end = self.end()
        while True:
            taking = Taking(self._policy)
            taken = await taking.take()
            if taken:
                return DeferredWork(self._policy, taken)
            left = end - self.now()
            if left <= 0:
                raise StopAsyncIteration
            await taking.wait(left)
