"""Registries: opening them, and the one that policies use unless told otherwise."""
from __future__ import annotations

import os
import threading
from typing import Any, Callable, Collection, Dict, List, Optional, Tuple

from . import _bide

Hook = Callable[[str, Dict[str, Any]], object]


class Registry:
    """An open registry.

    dir: its directory; None: $BIDE_DIR, else the user's own, else the host's.
    private: keep counters, budgets and breakers in this process, for tests.
    seed: of the random part of waits; 0: another one each time.
    no_wait: a clock that waits advance, and that takes no time; only with private.
    hook: called as hook(event, fields) in the thread of the call; `events` are
    the names of the events that it gets ("before_attempt", "after_attempt",
    "before_wait", "at_verdict", "on_breaker", "on_budget", "on_policy",
    "on_status"), None: all.  Its exceptions do not reach the call.

    A missing registry is no error: calls run under declared rules until it appears."""

    def __init__(self, dir: Optional[str] = None, *, private: bool = False, seed: int = 0,
                 no_wait: bool = False, hook: Optional[Hook] = None,
                 events: Optional[Collection[str]] = None) -> None:
        self.dir = dir
        self.is_private, self.no_wait = private, no_wait
        self._box = _bide.open(None if dir is None else os.fspath(dir), private, seed, no_wait,
                               hook, events)

    def __reduce__(self) -> Tuple[Any, ...]:
        if self.is_private:
            raise TypeError("a private registry cannot be pickled")
        return _reopen, (self.dir,)

    def __repr__(self) -> str:
        return f"<bide.Registry {self.dir or 'of $BIDE_DIR, the user or the host'}>"

    def declare(self, ini: str) -> None:
        """Declares the rules of policies that the registry does not define.  `ini` is
        the text of a policy file; raises ValueError with the place of a mistake."""
        _bide.declare(self._box, ini)

    def names(self) -> List[str]:
        """Returns the names of all policies of the registry, sorted."""
        return _bide.names(self._box)

    @property
    def status(self) -> Optional[str]:
        """What is wrong: why calls run under older or declared rules, or are not
        counted for others; None: nothing."""
        return _bide.status(self._box)

    def close(self) -> int:
        """Closes the registry.  Calls in progress go on; returns their number."""
        return _bide.close(self._box)

    def __enter__(self) -> "Registry":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_lock = threading.Lock()
_default: Optional[Registry] = None
_override: List[Registry] = []  # of bide.testing, the innermost last
_declared: List[str] = []
_reopened: Dict[Optional[str], Registry] = {}


def _unlock_in_child() -> None:
    global _lock
    _lock = threading.Lock()
    _bide.note_fork()


os.register_at_fork(after_in_child=_unlock_in_child)


def _reopen(dir: Optional[str]) -> Registry:
    with _lock:
        if dir not in _reopened:
            _reopened[dir] = Registry(dir)
        return _reopened[dir]


def current() -> Registry:
    """Returns the registry of policies that name none; opens it at first."""
    global _default
    if _override:
        return _override[-1]
    if _default is None:
        with _lock:
            if _default is None:
                _default = open_default(Registry())
    return _default


def open_default(registry: Registry) -> Registry:
    """Declares in a registry what the program has declared."""
    for ini in _declared:
        registry.declare(ini)
    return registry


def configure(dir: Optional[str] = None, *, hook: Optional[Hook] = None,
              events: Optional[Collection[str]] = None, **options: Any) -> Registry:
    """Opens the registry that policies use, with the arguments of Registry.  Calls
    in progress end in the one before."""
    global _default
    registry = open_default(Registry(dir, hook=hook, events=events, **options))
    with _lock:
        _default = registry
    _bide.change_epoch()
    return registry


def declare(ini: str) -> None:
    """Declares rules in the registry that policies use, also in those that
    `configure` and `testing` open later."""
    current().declare(ini)
    _declared.append(ini)


def override(registry: Registry) -> None:
    """Makes a registry the one in use, until `end_override`."""
    _override.append(registry)
    _bide.change_epoch()


def end_override(registry: Registry) -> None:
    """Ends what `override` began."""
    _override.remove(registry)
    _bide.change_epoch()
