"""Calls after their first attempt, or without the fast path: attempts, waits, the
end.  `_bide.Guard` makes the first attempt of most calls in C and continues here."""
from __future__ import annotations

import contextvars
from typing import Any, NamedTuple, Optional, Tuple

from . import _bide
from ._result import Refused, add_note, result_of
from .outcomes import Outcome, app, classify, ok

DONE, GO, WAIT, RUNNING = range(4)


class AttemptInfo(NamedTuple):
    """The attempt in progress: its number, and its time limit in seconds or None."""

    number: int
    timeout: Optional[float]


_running: contextvars.ContextVar[Any] = contextvars.ContextVar("bide", default=None)


def info_of(call: Any) -> AttemptInfo:
    """Returns the attempt in progress of a call."""
    number, left, _ = _bide.state(call)
    return AttemptInfo(number, None if left == float("inf") else left)


def attempt() -> AttemptInfo:
    """Returns the attempt in progress of the innermost guarded call: its number, and
    the seconds that it may still take (None: no limit), for `timeout=` of a client.
    Attempts of coroutines are cancelled at their limit."""
    call = _running.get()
    return info_of(call) if call is not None else AttemptInfo(1, None)


def meaning(verdict: Any) -> Outcome:
    """Returns the outcome for what `outcome=` returned: an outcome, an exception,
    None or True for success, False, or the name of a failure."""
    if isinstance(verdict, Outcome):
        return verdict
    if verdict is None or verdict is True:
        return ok()
    if isinstance(verdict, BaseException):
        return classify(verdict)
    if verdict is False:
        return app("failed")
    if isinstance(verdict, str):
        return app(verdict)
    raise TypeError(f"outcome= returned {verdict!r}, not an outcome")


def outcome_of(policy: Any, value: Any, raised: Optional[BaseException]) -> Outcome:
    """Returns the outcome of an attempt that returned or raised."""
    if raised is not None:
        return classify(raised)
    return meaning(policy.outcome(value)) if policy.outcome else ok()


def begin(policy: Any, call: Any, args: Any, kwargs: Any, watch: Any = None) -> int:
    """Begins a call with the options of its policy."""
    work = policy.work
    if callable(work):
        work = work(*args, **kwargs)
    if work is not None:
        _bide.set_work(call, *((work, None, None, 0) if isinstance(work, bytes) else work))
    return _bide.begin(call, policy.deadline, watch)


def run_sync(policy: Any, call: Any, state: int, function: Any, args: Any, kwargs: Any,
             outcome: Optional[Outcome], value: Any,
             raised: Optional[Exception]) -> Tuple[Any, Optional[Exception]]:
    """Runs a call to its end.  `state` is that of its last step, RUNNING before the
    call begins; `outcome` is that of an attempt that was made, or None.  Returns what
    the last attempt returned and raised."""
    try:
        if state == RUNNING:
            state = begin(policy, call, args, kwargs)
        if state == WAIT:  # for a place, a turn, a breaker or a server's hint
            state = _bide.wait(call)
        while state == GO:
            if outcome is None:
                token = _running.set(call)
                try:
                    value, raised = function(*args, **kwargs), None
                except Exception as error:  # pylint: disable=broad-except
                    value, raised = None, error
                finally:
                    _running.reset(token)
                outcome = outcome_of(policy, value, raised)
            state = _bide.ended(call, outcome)
            outcome = None
            if state == WAIT:
                state = _bide.wait(call)
        return value, raised
    except BaseException:
        _bide.abandon(call)
        raise
    finally:
        raised = None  # its traceback has this frame


def finish(policy: Any, call: Any, value: Any, raised: Optional[Exception]) -> Any:
    """Returns the value of the last attempt, or raises its exception, or Refused."""
    result = result_of(policy, call)
    try:
        if raised is not None:
            if not result.ok:
                add_note(raised, result)
            raise raised
        if not result.attempts:
            raise Refused(result)
        return value
    finally:
        raised = None


def continue_sync(policy: Any, call: Any, state: int, function: Any, args: Any, kwargs: Any,
                  value: Any, raised: Optional[Exception], verdict: Any) -> Any:
    """Continues a call of a guarded function."""
    try:
        outcome = (classify(raised) if raised is not None
                   else meaning(verdict) if verdict is not None else None)
        value, raised = run_sync(policy, call, state, function, args, kwargs or {}, outcome,
                                 value, raised)
        return finish(policy, call, value, raised)
    finally:
        raised = None
