"""Tests of programs that use bide: no waits, nothing written to the host."""
from __future__ import annotations

from typing import Any, List, Optional, Tuple

from . import _bide, _registry
from ._policy import Policy
from ._result import Result, result_of
from ._run import DONE, WAIT
from .outcomes import Outcome


class testing:  # pylint: disable=invalid-name
    """Runs the block with a registry of its own: `with bide.testing(no_wait=True):`.
    All policies that name no registry use it, with private counters, budgets and
    breakers, and with the same random numbers in each run.

    no_wait: waits take no time, and advance the clock of the registry.
    declare: the text of policies, beside those of `bide.declare`.
    dir: the registry whose policies are used; None: none, declared ones only.

    Also usable as a decorator of test functions, and from setUp with
    `self.enterContext(...)` (Python 3.11), or `start()` and `stop()`."""

    def __init__(self, *, no_wait: bool = True, declare: str = "", dir: Optional[str] = None,
                 seed: int = 1) -> None:
        self._options = {"no_wait": no_wait, "seed": seed, "private": True,
                         "dir": dir or "/nonexistent/bide"}
        self._declare = declare
        self._registry: Optional[_registry.Registry] = None

    @property
    def registry(self) -> _registry.Registry:
        """The registry of the test."""
        if self._registry is None:
            raise RuntimeError("the test has not started")
        return self._registry

    @property
    def now(self) -> float:
        """The time of the registry's clock, in seconds."""
        return _bide.now(self.registry._box)

    def advance(self, seconds: float) -> None:
        """Advances the clock, as a wait of that length does."""
        _bide.advance(self.registry._box, seconds)

    def preview(self, name: str, *outcomes: Outcome) -> Tuple[Result[Any], List[float]]:
        """Runs a call of the policy whose attempts have these outcomes, the last one
        again and again; returns how it ended, and the waits."""
        policy = Policy(name, registry=self.registry)
        call = _bide.call(policy._handle())
        waits: List[float] = []
        state, number = _bide.begin(call, None, None), 0
        if state == WAIT:
            state = _bide.wait(call)
        while state != DONE:
            state = _bide.ended(call, outcomes[min(number, len(outcomes) - 1)])
            number += 1
            if state == WAIT:
                waits.append(_bide.state(call)[2])
                state = _bide.wait(call)
        return result_of(policy, call), waits

    def start(self) -> "testing":
        """Begins the test."""
        registry = _registry.open_default(_registry.Registry(**self._options))  # type: ignore
        if self._declare:
            registry.declare(self._declare)
        self._registry = registry
        _registry.override(registry)
        return self

    def stop(self) -> None:
        """Ends the test; policies use the program's registry again."""
        _registry.end_override(self.registry)

    def __enter__(self) -> "testing":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
