"""Deferred work: taking pieces that are due, and reporting what became of them."""
from __future__ import annotations

import logging
import time
from typing import Any, Iterator, Optional

from . import _bide

_log = logging.getLogger("bide")


class DeferredWork:
    """A piece of work, leased to this consumer.  `with work:` reports it as done, or
    after an exception as not done: the exception is logged, and the work is due again
    later.  A piece that nobody reports is due again when its lease expires."""

    __slots__ = ("_box", "_policy", "is_reported", "id", "data", "type", "key", "attempts",
                 "stored", "last_error")

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


def take_all(policy: Any, wait: Optional[float]) -> Iterator[DeferredWork]:
    """Yields work until none was due for `wait` seconds."""
    end = None if wait is None else time.monotonic() + wait
    while True:
        left = 5.0 if end is None else max(0.0, end - time.monotonic())
        taken = _bide.take(policy._handle(), left)
        if taken:
            yield DeferredWork(policy, taken)
            end = None if wait is None else time.monotonic() + wait
        elif end is not None and time.monotonic() >= end:
            return
