"""bide: retry policies by name, that an operator changes while programs run.

    import bide

    @bide.policy("payments")
    def pay(order):
        ...

A call of `pay` makes attempts as the policy `payments` says.  Exceptions are
classified by `bide.outcomes`: a policy retries what its `retry_on` names, by default
transient failures only.  A programming error (app.TypeError ...) is never retried
unless a policy asks for it.

bide(7) has an introduction for Python; bide(5) describes policies."""
from __future__ import annotations

try:
    from . import _bide
except ImportError as _error:
    if "bide" in str(_error) and ("undefined symbol" in str(_error) or "version `" in str(_error)):
        raise ImportError(
            f"the Python package bide and the library libbide.so.0 are of different versions "
            f"({_error}): install both from one release") from None
    raise

from . import outcomes
from ._block import Attempt
from ._deferred import Deferred, DeferredWork
from ._policy import Policy, Work, policy
from ._registry import Registry, configure, declare
from ._result import Error, Failed, Refused, Result
from ._run import AttemptInfo, attempt
from ._testing import testing
from .outcomes import Outcome, app, curl, dns, errno, exit, grpc, http, ok

RegistryError = _bide.RegistryError
__version__: str = _bide.VERSION

__all__ = [
    "Attempt", "AttemptInfo", "Deferred", "DeferredWork", "Error", "Failed", "Outcome", "Policy",
    "Refused", "Registry", "RegistryError", "Result", "Work", "app", "attempt", "configure", "curl",
    "declare", "dns", "errno", "exit", "grpc", "http", "ok", "outcomes", "policy", "testing",
]
