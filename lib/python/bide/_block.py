"""Blocks: a loop around the program's own code, each round an attempt."""
from __future__ import annotations

import weakref
from typing import Any, Optional

from . import _bide
from ._result import Failed, Refused, add_note, result_of
from ._run import DONE, GO, RUNNING, WAIT, begin, info_of, meaning
from .outcomes import Outcome, classify, ok


def _nothing() -> None:
    """Stands for a weak reference to nothing."""


class Attempt:
    """One attempt of a block.  `number` is 1 for the first; `timeout` is the time
    that is left for it in seconds, or None.  Set `outcome` if the attempt failed
    without an exception: `attempt.outcome = bide.http(503)`."""

    __slots__ = ("_block", "_limit", "number", "outcome", "__weakref__")

    def __init__(self, block: "Block") -> None:
        # Weak: leaving the loop ends the call, though the attempt still has a name.
        self._block = weakref.ref(block)
        self._limit: Any = None
        self.number = info_of(block.call).number
        self.outcome: Optional[Outcome] = None

    @property
    def timeout(self) -> Optional[float]:
        """The time that is left for the attempt, in seconds; None: no limit."""
        return info_of(self._open().call).timeout

    def _open(self) -> "Block":
        block = self._block()
        if block is None or block.attempt() is not self:
            raise RuntimeError("this attempt has ended")
        return block

    def __enter__(self) -> "Attempt":
        block = self._open()
        if block.state != GO:
            raise RuntimeError("this attempt has begun already")
        block.state = RUNNING
        if block.is_async and self.timeout is not None:
            from ._loop import Limit  # pylint: disable=import-outside-toplevel

            self._limit = Limit(self.timeout)
            self._limit.__enter__()
        return self

    def __exit__(self, kind: Any, error: Optional[BaseException], trace: Any) -> bool:
        if self._limit is not None:
            error = self._limit.end(error)
        block = self._open()
        if error is not None and not isinstance(error, Exception):
            block.stop()
            return False
        is_retried = block.end(self.outcome, error)
        if error is not None and not is_retried and self._limit is not None:
            raise error
        return is_retried

    async def __aenter__(self) -> "Attempt":
        return self.__enter__()

    async def __aexit__(self, *error: Any) -> bool:
        return self.__exit__(*error)


class Block:
    """The attempts of one call."""

    is_async = False

    def __init__(self, policy: Any) -> None:
        self.policy = policy
        self.call: Any = None
        self.state = WAIT
        self.raised: Optional[Exception] = None
        self.attempt: Any = _nothing  # a weak reference to the attempt in progress

    def __iter__(self) -> "Block":
        return self

    def stop(self) -> None:
        """Abandons the call."""
        _bide.abandon(self.call)
        self.state, self.raised = DONE, None

    def end(self, outcome: Optional[Outcome], error: Optional[Exception]) -> bool:
        """Ends the attempt; returns whether its exception is not to be raised."""
        try:
            found = (classify(error) if error is not None
                     else meaning(outcome) if outcome is not None else ok())
            self.state = _bide.ended(self.call, found)
        except BaseException:
            self.stop()
            raise
        if error is not None and self.state == DONE:
            result = result_of(self.policy, self.call)
            if not result.ok:
                add_note(error, result)
            return False
        self.raised = error
        return error is not None

    def start(self, watch_of: Any = None) -> None:
        """Begins the call."""
        self.call = _bide.call(self.policy._handle())
        self.state = begin(self.policy, self.call, (), {}, watch_of and watch_of(self.call))

    def next(self) -> Optional[Attempt]:
        """Returns the next attempt; None: the call has succeeded."""
        if self.state == GO:
            attempt = Attempt(self)
            self.attempt = weakref.ref(attempt)
            return attempt
        result, raised, self.raised = result_of(self.policy, self.call), self.raised, None
        if result.ok or result.verdict == "unfinished":
            return None
        try:
            if raised is not None:
                add_note(raised, result)
                raise raised
            raise Failed(result) if result.attempts else Refused(result)
        finally:
            raised = None

    def check(self) -> None:
        """Refuses to go on while an attempt is not ended."""
        if self.call is not None and self.state in (GO, RUNNING):
            self.stop()
            raise RuntimeError("the attempt has not ended: its code belongs into `with attempt:`")

    def __next__(self) -> Attempt:
        self.check()
        try:
            if self.call is None:
                self.start()
            if self.state == WAIT:
                self.state = _bide.wait(self.call)
        except BaseException:
            if self.call is not None:
                self.stop()
            raise
        attempt = self.next()
        if attempt is None:
            raise StopIteration
        return attempt


class AsyncBlock(Block):
    """The attempts of one call of a coroutine."""

    is_async = True

    def __aiter__(self) -> "AsyncBlock":
        return self

    async def __anext__(self) -> Attempt:
        from . import _loop  # pylint: disable=import-outside-toplevel

        self.check()
        try:
            if self.call is None:
                self.start(_loop.watch_of)
            if self.state == WAIT:
                self.state = await _loop.wait(self.call)
        except BaseException:
            if self.call is not None:
                self.stop()
            raise
        attempt = self.next()
        if attempt is None:
            raise StopAsyncIteration
        return attempt
