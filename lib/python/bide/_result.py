"""How calls end: results, and the exceptions of bide itself."""
from __future__ import annotations

from typing import Any, Generic, Optional, Tuple, TypeVar

from . import _bide
from .outcomes import Outcome, from_tuple

T = TypeVar("T")


class Result(Generic[T]):
    """How one call ended.  Times are in seconds.

    verdict: "succeeded", "exhausted", "refused", "rejected" or "cancelled".
    reason: the rule that ended a failed call ("attempts", "deadline" ...).
    end: what a failed call means for the caller ("aborted", "deferred" ...).
    attempts: attempts made.  outcome: of the last one, or None without one.
    ask_again: time until a refused call may be allowed; None: not known.
    deferred_id: the id of the work, if the call ended as deferred with work.
    defer_error: why the work could not be stored, or None.
    value, exception: what the last attempt returned or raised."""

    __slots__ = ("policy", "scope", "verdict", "reason", "end", "attempts", "outcome", "elapsed",
                 "slept", "ask_again", "deferred_id", "defer_error", "value", "exception")

    policy: str
    scope: str
    verdict: str
    reason: str
    end: str
    attempts: int
    outcome: Optional[Outcome]
    elapsed: float
    slept: float
    ask_again: Optional[float]
    deferred_id: int
    defer_error: Optional[str]
    value: Optional[T]
    exception: Optional[BaseException]

    def __init__(self, *values: Any) -> None:
        for name, value in zip(self.__slots__, values):
            setattr(self, name, value)

    def __reduce__(self) -> Tuple[Any, ...]:
        return Result, tuple(getattr(self, name) for name in self.__slots__)

    @property
    def ok(self) -> bool:
        """Whether the call succeeded."""
        return self.verdict == "succeeded"

    def get(self) -> T:
        """Returns the value of the last attempt, or raises its exception; raises
        Refused if no attempt was made."""
        if self.exception is not None:
            raise self.exception
        if not self.attempts:
            raise Refused(self)
        return self.value  # type: ignore[return-value]

    def __str__(self) -> str:
        text = f"{self.policy}{'/' if self.scope else ''}{self.scope}: {self.verdict}"
        if self.attempts:
            text += f" after {self.attempts} attempt{'s' if self.attempts > 1 else ''}"
        if self.reason not in ("none", self.verdict):
            text += f" ({self.reason})"
        if self.outcome is not None and not self.ok:
            text += f": {self.outcome}"
        if self.end in ("deferred", "dropped", "not_stored"):
            text += f", {self.end.replace('_', ' ')}"
        if self.deferred_id:
            text += f" as {self.deferred_id}"
        return text

    def __repr__(self) -> str:
        return f"<Result {self}>"


class Error(Exception):
    """The base of bide's own exceptions; `result` is that of the call."""

    def __init__(self, result: Result[Any]) -> None:
        super().__init__(result)
        self.result = result

    def __str__(self) -> str:
        return str(self.result)


class Refused(Error):
    """The call was not allowed to make an attempt: the breaker is open, the policy is
    paused, or its deadline was over."""


class Failed(Error):
    """The last attempt of a block failed with an outcome and without an exception."""


def result_of(policy: Any, call: Any, value: Any = None,
              exception: Optional[BaseException] = None) -> Result[Any]:
    """Returns the result of a call that has ended."""
    verdict, reason, end, attempts, outcome, elapsed, slept, again, work, why = _bide.result(call)
    return Result(policy.name, policy.scope or "", verdict, reason, end, attempts,
                  from_tuple(outcome) if attempts else None, elapsed, slept,
                  again if again != float("inf") else None, work, why, value, exception)


def add_note(error: BaseException, result: Result[Any]) -> None:
    """Adds how the call ended to its exception, where Python shows such notes."""
    add = getattr(error, "add_note", None)
    if add is not None:
        add(f"bide: {result}")
