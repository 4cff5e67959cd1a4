"""Tenacity under a policy: its own objects ask bide whether to retry, when to stop
and how long to wait, and their sleeps follow changes of the registry.

The state of a call is an attribute of Tenacity's RetryCallState, which is one for
each call."""
from __future__ import annotations

import contextvars
import errno as _errno
import inspect
import time
from typing import Any, Awaitable, Dict, Optional

import tenacity

from . import _bide
from ._result import Refused, add_note, result_of
from ._run import DONE, GO, WAIT, begin, meaning
from .outcomes import Outcome, classify, errno, ok


class _Call:
    """One call, between the steps of Tenacity."""

    def __init__(self, policy: Any, retry_state: Any) -> None:
        self.policy = policy
        self.is_async = isinstance(retry_state.retry_object, tenacity.AsyncRetrying)
        self.box = _bide.call(policy._handle())
        watch = None
        if self.is_async:
            from ._loop import watch_of  # pylint: disable=import-outside-toplevel

            watch = watch_of(self.box)
        self.state = begin(policy, self.box, retry_state.args, retry_state.kwargs, watch)
        self.outcome: Any = None  # Tenacity's, of the last attempt

    def end_attempt(self, retry_state: Any) -> None:
        """Ends the attempt in progress, if there is one."""
        if self.state != GO:
            return
        self.outcome = retry_state.outcome
        error = self.outcome.exception()
        if error is not None and not isinstance(error, Exception):
            _bide.abandon(self.box)
            self.state = DONE
            return
        try:
            self.state = _bide.ended(self.box, self._meaning(error))
        except BaseException:
            _bide.abandon(self.box)
            raise
        if self.state == DONE and error is not None:
            add_note(error, result_of(self.policy, self.box))

    def _meaning(self, error: Optional[Exception]) -> Outcome:
        if isinstance(error, tenacity.TryAgain):
            return errno(_errno.EAGAIN)
        if error is not None:
            return classify(error)
        judge = self.policy.outcome
        return meaning(judge(self.outcome.result())) if judge else ok()

    def is_retried_or_exhausted(self) -> bool:
        """Whether Tenacity is to ask `stop`: not after a success, and not for what the
        policy never retries."""
        return self.state == WAIT or result_of(self.policy, self.box).verdict in (
            "exhausted", "refused")

    def sleep(self) -> None:
        """Sleeps until the next attempt, or until a change ends the call."""
        try:
            self.state = _bide.wait(self.box)
        except BaseException:
            _bide.abandon(self.box)
            raise

    async def sleep_async(self) -> None:
        """The same in a loop of asyncio."""
        from . import _loop  # pylint: disable=import-outside-toplevel

        try:
            self.state = await _loop.wait(self.box)
        except BaseException:
            _bide.abandon(self.box)
            raise


_sleeping: contextvars.ContextVar[Optional[_Call]] = contextvars.ContextVar("bide_tenacity",
                                                                            default=None)


def _call_of(retry_state: Any) -> Optional[_Call]:
    return getattr(retry_state, "_bide", None)


def _finish(retry_state: Any, call: _Call, callback: Any = None) -> Any:
    """Does what Tenacity does at the end of a call."""
    retrying = retry_state.retry_object
    if callback is not None:
        retry_state.outcome = call.outcome
        return callback(retry_state)
    error = retrying.retry_error_cls(call.outcome)
    if retrying.reraise:
        raise error.reraise()
    raise error from call.outcome.exception()


class _Rules:
    """A policy as the base of Tenacity's arguments."""

    def __init__(self, policy: Any) -> None:
        self.policy = policy

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.policy.name!r})"

    def ended_call(self, retry_state: Any) -> _Call:
        """Returns the call of the state, whose attempt has ended."""
        call = _call_of(retry_state)
        if call is None:
            raise RuntimeError("give Tenacity all arguments of policy.tenacity(), `before` as well")
        call.end_attempt(retry_state)
        return call


class before_bide(_Rules):  # pylint: disable=invalid-name
    """Begins the call before its first attempt; raises bide.Refused."""

    def __call__(self, retry_state: Any) -> None:
        call = _call_of(retry_state)
        if call is None:
            call = retry_state._bide = _Call(self.policy, retry_state)
            if call.state == WAIT and call.is_async:
                _bide.abandon(call.box)
                raise RuntimeError("AsyncRetrying cannot wait before its first attempt, as "
                                   f"{self.policy.name} asks for: use the policy itself")
            if call.state == WAIT:
                call.sleep()
            if call.state == DONE:
                raise Refused(result_of(self.policy, call.box))
        elif call.state == WAIT:  # the program gave Tenacity another `sleep`
            if call.is_async:
                raise RuntimeError("AsyncRetrying needs the `sleep` of policy.tenacity()")
            call.sleep()
        if call.state == DONE:  # a change has ended it while it slept
            _finish(retry_state, call)


class retry_bide(_Rules, tenacity.retry_base):  # pylint: disable=invalid-name
    """Retries what the policy retries."""

    def __call__(self, retry_state: Any) -> bool:
        return self.ended_call(retry_state).is_retried_or_exhausted()


class stop_bide(_Rules, tenacity.stop.stop_base):  # pylint: disable=invalid-name
    """Stops where the policy ends the call."""

    def __call__(self, retry_state: Any) -> bool:
        return self.ended_call(retry_state).state == DONE


class wait_bide(_Rules, tenacity.wait.wait_base):  # pylint: disable=invalid-name
    """Waits as long as the policy says."""

    def __call__(self, retry_state: Any) -> float:
        call = self.ended_call(retry_state)
        _sleeping.set(call)
        return _bide.state(call.box)[2] if call.state == WAIT else 0.0


def sleep_bide(seconds: float) -> Optional[Awaitable[None]]:
    """Sleeps as the call of the last `wait` in this thread or task."""
    call = _sleeping.get()
    if call is None:
        time.sleep(seconds)
        return None
    _sleeping.set(None)
    return call.sleep_async() if call.is_async else call.sleep()  # type: ignore[func-returns-value]


def arguments(policy: Any) -> Dict[str, Any]:
    """Returns the arguments of tenacity.retry that follow a policy."""
    return {"before": before_bide(policy), "retry": retry_bide(policy), "stop": stop_bide(policy),
            "wait": wait_bide(policy), "sleep": sleep_bide}


# ---- subclasses, for what arguments cannot do ----

def _ended_in_sleep(retry_state: Any) -> Optional[_Call]:
    """Returns the call, if a change has ended it while it slept."""
    call = _call_of(retry_state)
    is_so = call is not None and call.state == DONE and retry_state.outcome is None
    return call if is_so else None


class Retrying(tenacity.Retrying):
    """tenacity.Retrying under a policy."""

    def iter(self, retry_state: Any) -> Any:
        call = _ended_in_sleep(retry_state)
        if call is not None:
            return _finish(retry_state, call, self.retry_error_callback)
        return super().iter(retry_state)


class AsyncRetrying(tenacity.AsyncRetrying):
    """tenacity.AsyncRetrying under a policy."""

    if inspect.iscoroutinefunction(tenacity.AsyncRetrying.iter):
        async def iter(self, retry_state: Any) -> Any:  # of Tenacity 8.3 and later
            call = _ended_in_sleep(retry_state)
            if call is not None:
                value = _finish(retry_state, call, self.retry_error_callback)
                return await value if inspect.isawaitable(value) else value
            return await super().iter(retry_state)  # type: ignore[misc]
    else:
        def iter(self, retry_state: Any) -> Any:  # type: ignore[misc]
            call = _ended_in_sleep(retry_state)
            if call is not None:
                return _finish(retry_state, call, self.retry_error_callback)
            return super().iter(retry_state)


def retrying(policy: Any, *, is_async: bool = False, **options: Any) -> Any:
    """Returns an object of Tenacity that follows a policy."""
    return (AsyncRetrying if is_async else Retrying)(**{**arguments(policy), **options})
