"""Policies, and the ways to run a call under one."""
from __future__ import annotations

import functools
import inspect
import re
import types
from typing import (TYPE_CHECKING, Any, Callable, Coroutine, Dict, NamedTuple, Optional,
                    Tuple, TypeVar, Union, overload)

from . import _bide, _registry
from ._block import AsyncBlock, Block
from ._deferred import Deferred
from ._result import Result, result_of
from ._run import continue_sync, run_sync
from .outcomes import Outcome

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    P = ParamSpec("P")
R = TypeVar("R")

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}")


class Work(NamedTuple):
    """Work to do later: bytes, with a content type, a key against duplicates, and
    the seconds after which it is due."""

    data: bytes
    type: Optional[str] = None
    key: Optional[str] = None
    delay: float = 0


Judge = Callable[[Any], Union[Outcome, BaseException, bool, str, None]]


def is_coroutine_function(function: Any) -> bool:
    """Reports whether calls of a function have to be awaited."""
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, _bide.Guard):
        return function.__dict__.get("_is_async", False)
    return (inspect.iscoroutinefunction(function)
            or inspect.iscoroutinefunction(getattr(type(function), "__call__", None)))


def _refuse_generator(function: Any) -> None:
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function.__qualname__} is a generator: a call of it makes no attempt. "
                        "Guard the function that gets one item, or use a block inside")


def _mark_coroutine(guard: Any, function: Any) -> None:
    """Makes asyncio and inspect take the guard for a coroutine function."""
    import asyncio  # pylint: disable=import-outside-toplevel

    guard._is_async = True
    mark = getattr(inspect, "markcoroutinefunction", None)
    if mark:
        mark(guard)
        return
    guard._is_coroutine = getattr(asyncio.coroutines, "_is_coroutine", None)
    for name in ("__code__", "__defaults__", "__kwdefaults__"):
        if hasattr(function, name):
            setattr(guard, name, getattr(function, name))


class Policy:
    """The rules of one name in the registry, and options of the program.

    As a decorator it guards a function, coroutine function or method; in a loop it
    guards a block: `for attempt in policy: with attempt: ...`."""

    __slots__ = ("name", "scope", "outcome", "work", "deadline", "registry", "_cache",
                 "__weakref__")

    def __init__(self, name: str, *, scope: Optional[str] = None,
                 outcome: Optional[Judge] = None,
                 work: Union[bytes, Work, Callable[..., Union[bytes, Work]], None] = None,
                 deadline: Optional[float] = None,
                 registry: Optional[_registry.Registry] = None) -> None:
        for text in (name, scope):
            if text is not None and not _NAME.fullmatch(text):
                raise ValueError(f"{text!r} is not a name: {_NAME.pattern}")
        self.name, self.scope = name, scope
        self.outcome, self.work, self.deadline = outcome, work, deadline
        self.registry = registry
        self._cache: Tuple[Any, Any] = (None, None)

    def using(self, **options: Any) -> "Policy":
        """Returns the policy with other options: scope, outcome, work, deadline,
        registry."""
        kept = {name: getattr(self, name)
                for name in ("scope", "outcome", "work", "deadline", "registry")}
        return Policy(self.name, **{**kept, **options})

    def __reduce__(self) -> Tuple[Any, ...]:
        return _restore, (self.name, self.scope, self.outcome, self.work, self.deadline,
                          self.registry)

    def __repr__(self) -> str:
        return f"<bide.Policy {self.name}{'/' if self.scope else ''}{self.scope or ''}>"

    def _registry(self) -> _registry.Registry:
        return self.registry or _registry.current()

    def _handle(self) -> Any:
        """Returns the handle of the library, for the registry in use."""
        registry = self._registry()
        of, handle = self._cache
        if of is not registry or not _bide.is_open(handle):
            handle = _bide.lookup(registry._box, self.name, self.scope)
            self._cache = registry, handle
        return handle

    # ---- functions ----

    def __call__(self, function: "Callable[P, R]") -> "Callable[P, R]":
        """Guards a function: each call of it is a call under the policy.  Returns what
        the last attempt returned, or raises its exception with a note; raises
        bide.Refused if the policy allows no attempt."""
        if isinstance(function, (staticmethod, classmethod)):
            return type(function)(self(function.__func__))  # type: ignore
        if not callable(function):
            raise TypeError(f"{function!r} is not callable")
        _refuse_generator(function)
        is_async = is_coroutine_function(function)
        guard = _bide.Guard(function, self, self.outcome, is_async,
                            self.work is not None or self.deadline is not None)
        functools.update_wrapper(guard, function)
        if is_async:
            _mark_coroutine(guard, function)
        return guard  # type: ignore[return-value]

    @overload  # type: ignore[misc]
    def run(self, function: "Callable[P, Coroutine[Any, Any, R]]", *args: "P.args",
            **kwargs: "P.kwargs") -> Coroutine[Any, Any, Result[R]]: ...
    @overload
    def run(self, function: "Callable[P, R]", *args: "P.args",
            **kwargs: "P.kwargs") -> Result[R]: ...

    def run(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Calls a function under the policy, and returns how the call ended: a Result,
        or for a coroutine function an awaitable of one.  Failures do not raise; Ctrl-C
        and the like do."""
        _refuse_generator(function)
        if is_coroutine_function(function):
            from . import _loop  # pylint: disable=import-outside-toplevel

            return _loop.run(self, function, args, kwargs)
        call = _bide.call(self._handle())
        value, raised = run_sync(self, call, 3, function, args, kwargs, None, None, None)
        return result_of(self, call, value, raised)

    # ---- blocks ----

    def __iter__(self) -> Block:
        """Yields attempts until one succeeds: `for attempt in policy: with attempt:`.
        If the call fails, the exception of the last attempt leaves the loop."""
        return Block(self)

    def __aiter__(self) -> AsyncBlock:
        """The same for coroutines: `async for attempt in policy: with attempt:`."""
        return AsyncBlock(self)

    # ---- deferred work ----

    def defer(self, data: bytes, *, type: Optional[str] = None, key: Optional[str] = None,
              delay: float = 0) -> int:
        """Stores work durably, to be done later, and returns its id."""
        return _bide.defer(self._handle(), data, type, key, delay)

    def deferred(self, wait: Optional[float] = 0) -> Deferred:
        """Yields work of the policy that is due, each piece under a lease:
        `for work in policy.deferred(): with work: ...`, and for coroutines
        `async for work in policy.deferred(): async with work: ...`.  Ends when none was
        due for `wait` seconds; None: never."""
        return Deferred(self, wait)

    # ---- what the policy is ----

    def value(self, key: str) -> str:
        """Returns the value in force of a key, as in a policy file."""
        return _bide.value(self._handle(), key)

    @property
    def source(self) -> str:
        """Where the rules come from: "registry", "default", "declared" or
        "builtin" (a single attempt: nobody defines the name)."""
        return _bide.source(self._handle())[0]

    @property
    def version(self) -> int:
        """The version in the registry; 0: the rules come from elsewhere."""
        return _bide.source(self._handle())[1]

    def stats(self) -> Dict[str, Any]:
        """Returns the totals of the policy and scope, of all processes together."""
        return _bide.stats(self._handle())

    # ---- Tenacity ----

    def tenacity(self) -> Dict[str, Any]:
        """Returns arguments for Tenacity: `@tenacity.retry(**policy.tenacity())`."""
        from . import _tenacity  # pylint: disable=import-outside-toplevel

        return _tenacity.arguments(self)

    def retrying(self, **options: Any) -> Any:
        """Returns a tenacity.Retrying that follows the policy; `is_async=True`: a
        tenacity.AsyncRetrying."""
        from . import _tenacity  # pylint: disable=import-outside-toplevel

        return _tenacity.retrying(self, **options)


def _restore(name: str, scope: Optional[str], outcome: Any, work: Any, deadline: Any,
             registry: Any) -> Policy:
    return Policy(name, scope=scope, outcome=outcome, work=work, deadline=deadline,
                  registry=registry)


def policy(name: str, **options: Any) -> Policy:
    """Returns the policy `name`; it need not exist yet.

    scope: a second name, with the same rules and a live state of its own.
    outcome: a function of a returned value, for values that are failures: returns
    an outcome (`bide.http(503)`), or True, False, the name of a failure, None.
    work: bytes or bide.Work, or a function of the arguments that returns one: stored
    if a postponable call fails.  deadline: seconds for each call with all its waits.
    registry: another than the one of `bide.configure`."""
    return Policy(name, **options)


def _continue_async(*args: Any) -> Any:
    from . import _loop  # pylint: disable=import-outside-toplevel

    return _loop.continue_async(*args)


_bide.setup(continue_sync, _continue_async, types.CoroutineType, types.MethodType)
