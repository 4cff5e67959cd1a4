"""What attempts mean: outcomes, and the table that turns exceptions into them.

An exception is classified by its shape, so that no library has to be imported:
an HTTP status or a gRPC code that it carries, else the row of TABLE for its class
or a base class, else its errno, else the exception that caused it.  Any other
exception becomes `app.NAME`, which a policy retries only if its `retry_on` says
so.  Tenacity retries every Exception unless it is told otherwise; bide does not.

A program extends the table with `register`."""
from __future__ import annotations

import errno as _errno
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Union

from . import _bide

OK, ERRNO, HTTP, GRPC, EXIT, SIGNAL, CURL, APP, DNS = range(9)
EAI_AGAIN = 3
NEVER = float("inf")  # as `after`: the server asks for no retry


class Outcome(NamedTuple):
    """The result of an attempt: a code in its domain, and the server's hint."""

    domain: int
    code: int = 0
    text: Optional[str] = None  # APP: the name; HTTP: the header Retry-After
    after: Optional[float] = None  # the wait that the server asks for, in seconds

    def __str__(self) -> str:
        return _bide.outcome_name(self)

    def hint(self, after: float) -> "Outcome":
        """Returns the outcome with a hint: retry after so many seconds, or NEVER."""
        return self._replace(after=after)


def ok() -> Outcome:
    """Returns success."""
    return Outcome(OK)


def errno(code: int) -> Outcome:
    """Returns the outcome of an errno value."""
    return Outcome(ERRNO, code)


def http(status: int, retry_after: Optional[str] = None) -> Outcome:
    """Returns the outcome of an HTTP status and the text of Retry-After."""
    return Outcome(HTTP, status, retry_after)


def grpc(code: int) -> Outcome:
    """Returns the outcome of a gRPC status code."""
    return Outcome(GRPC, code)


def exit(status: int) -> Outcome:  # pylint: disable=redefined-builtin
    """Returns the outcome of an exit status; a negative one is a signal, as in
    the module subprocess."""
    return Outcome(EXIT, status) if status >= 0 else Outcome(SIGNAL, -status)


def curl(code: int) -> Outcome:
    """Returns the outcome of a CURLcode."""
    return Outcome(CURL, code)


def dns(code: int) -> Outcome:
    """Returns the outcome of a name resolution: an EAI code of the module socket."""
    return Outcome(DNS, abs(code))


def app(name: str) -> Outcome:
    """Returns a failure that only the program knows: `app.NAME`."""
    return Outcome(APP, 0, name)


def from_tuple(values: Any) -> Outcome:
    """Returns the outcome that the library reports as a tuple."""
    domain, code, name, after = values
    return Outcome(domain, code, name[4:] if domain == APP else None, after)


# ---- HTTP and gRPC, by shape ----

def _number(value: Any, lowest: int) -> Optional[int]:
    is_status = isinstance(value, int) and lowest <= value <= 599
    return int(value) if is_status else None


def _header(carrier: Any, name: str) -> Optional[str]:
    get = getattr(getattr(carrier, "headers", None), "get", None)
    value = (get(name) or get(name.lower())) if callable(get) else None
    return value if isinstance(value, str) else None


def _status(carrier: Any, lowest: int) -> Optional[Outcome]:
    for name in ("status_code", "status", "code"):
        status = _number(getattr(carrier, name, None), lowest)
        if status:
            return http(status, _header(carrier, "Retry-After"))
    return None


def of_response(response: Any) -> Optional[Outcome]:
    """Returns the outcome of an HTTP response, for `outcome=`: of requests,
    urllib, httpx, aiohttp and others with a status.  None: it has none."""
    return _status(response, 100)


def _of_http_error(error: BaseException) -> Optional[Outcome]:
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        meta = response.get("ResponseMetadata")
        status = _number(meta.get("HTTPStatusCode"), 300) if isinstance(meta, dict) else None
        return http(status) if status else None
    return (of_response(response) if response is not None else None) or _status(error, 400)


def _of_grpc_error(error: BaseException) -> Optional[Outcome]:
    code = getattr(error, "code", None)
    try:
        value = code().value if callable(code) else None
        number = value[0] if isinstance(value, tuple) else value
        if not isinstance(number, int):
            return None
        found = grpc(number)
        metadata = getattr(error, "trailing_metadata", None)
        for key, text in (metadata() if callable(metadata) else None) or ():
            if key == "grpc-retry-pushback-ms":
                delay = int(text)
                found = found.hint(delay / 1000 if delay >= 0 else NEVER)
        return found
    except (AttributeError, TypeError, ValueError):
        return None


# ---- the table ----

class ByCause(NamedTuple):
    """A row: the outcome of the exception that caused this one, else `default`."""

    default: Optional[Outcome] = None


Row = Union[Outcome, ByCause, Callable[[Any], Optional[Outcome]]]


def _errno_of(error: Any) -> int:
    """Returns the errno of an exception; 0: none.  Programs may pass anything."""
    number = getattr(error, "errno", None)
    return number if isinstance(number, int) and abs(number) < 4096 else 0


def _by_errno(default: int) -> Row:
    return lambda error: errno(_errno_of(error) or default)


def _of_exit(error: Any) -> Outcome:
    return exit(error.returncode)


def _of_gaierror(error: Any) -> Outcome:
    return dns(_errno_of(error) or EAI_AGAIN)


_RESET, _TIMEOUT = errno(_errno.ECONNRESET), errno(_errno.ETIMEDOUT)
_REFUSED = errno(_errno.ECONNREFUSED)

# The name of a class, with the first part of its module: the outcome, or a function
# that returns it, or None to ask the next row.
TABLE: Dict[str, Row] = {
    "builtins.TimeoutError": _by_errno(_errno.ETIMEDOUT),
    "builtins.ConnectionResetError": _by_errno(_errno.ECONNRESET),
    "builtins.ConnectionRefusedError": _by_errno(_errno.ECONNREFUSED),
    "builtins.ConnectionAbortedError": _by_errno(_errno.ECONNABORTED),
    "builtins.BrokenPipeError": _by_errno(_errno.EPIPE),
    "builtins.ConnectionError": _by_errno(_errno.ECONNRESET),
    "builtins.FileNotFoundError": _by_errno(_errno.ENOENT),
    "builtins.FileExistsError": _by_errno(_errno.EEXIST),
    "builtins.PermissionError": _by_errno(_errno.EACCES),
    "builtins.BlockingIOError": _by_errno(_errno.EAGAIN),
    "builtins.MemoryError": errno(_errno.ENOMEM),
    "asyncio.TimeoutError": _TIMEOUT,
    "asyncio.IncompleteReadError": _RESET,
    "concurrent.TimeoutError": _TIMEOUT,
    "socket.timeout": _TIMEOUT,
    "socket.gaierror": _of_gaierror,
    "socket.herror": dns(EAI_AGAIN),
    # The errno of these is a number of OpenSSL.
    "ssl.SSLCertVerificationError": app("SSLCertVerificationError"),
    "ssl.SSLEOFError": _RESET,
    "ssl.SSLZeroReturnError": _RESET,
    "ssl.SSLError": app("SSLError"),
    "http.IncompleteRead": _RESET,
    "http.BadStatusLine": _RESET,
    "urllib.URLError": ByCause(app("URLError")),
    "urllib3.NewConnectionError": ByCause(_REFUSED),
    "urllib3.NameResolutionError": ByCause(dns(EAI_AGAIN)),
    "urllib3.TimeoutError": _TIMEOUT,
    "urllib3.ProtocolError": ByCause(_RESET),
    "urllib3.SSLError": ByCause(app("SSLError")),
    "urllib3.MaxRetryError": ByCause(_RESET),
    "requests.Timeout": _TIMEOUT,
    "requests.SSLError": ByCause(app("SSLError")),
    "requests.ConnectionError": ByCause(_RESET),
    "requests.ChunkedEncodingError": _RESET,
    "requests.RequestException": ByCause(),
    "httpx.TimeoutException": _TIMEOUT,
    "httpx.ConnectError": ByCause(_REFUSED),
    "httpx.NetworkError": ByCause(_RESET),
    "httpx.RemoteProtocolError": _RESET,
    "httpcore.TimeoutException": _TIMEOUT,
    "httpcore.NetworkError": ByCause(_RESET),
    "httpcore.RemoteProtocolError": _RESET,
    "aiohttp.ServerTimeoutError": _TIMEOUT,
    "aiohttp.ServerDisconnectedError": _RESET,
    "aiohttp.ClientConnectorCertificateError": app("SSLCertVerificationError"),
    "aiohttp.ClientConnectorError": ByCause(_REFUSED),
    "aiohttp.ClientPayloadError": _RESET,
    "subprocess.CalledProcessError": _of_exit,
    "subprocess.TimeoutExpired": _TIMEOUT,
}


def _key(kind: type) -> str:
    return f"{kind.__module__.partition('.')[0]}.{kind.__name__}"


_registered: Dict[str, Row] = {}


def register(kind: Union[type, str], row: Row) -> None:
    """Sets the outcome of a class of exceptions and its subclasses, before anything
    that bide knows of them.  `kind` is the class, or its name with the first part
    of its module ("redis.ConnectionError"); `row` is an outcome, or a function of
    the exception that returns one, or None to leave it to the other rows."""
    _registered[kind if isinstance(kind, str) else _key(kind)] = row


def unregister(kind: Union[type, str]) -> None:
    """Removes what `register` has set."""
    _registered.pop(kind if isinstance(kind, str) else _key(kind), None)


# ---- classification ----

def _causes(error: BaseException) -> List[BaseException]:
    """Returns the exceptions that an exception carries, the closest first."""
    found = [getattr(error, name, None) for name in ("reason", "os_error", "__cause__")]
    return [cause for cause in (*found, *error.args, error.__context__)
            if isinstance(cause, BaseException)]


def _of_cause(error: BaseException, seen: List[BaseException]) -> Optional[Outcome]:
    for cause in _causes(error):
        found = _find(cause, seen) or _of_cause(cause, seen) if _is_new(cause, seen) else None
        if found is not None:
            return found
    return None


def _is_new(error: BaseException, seen: List[BaseException]) -> bool:
    return len(seen) < 20 and not any(error is other for other in seen)


def _look_up(table: Dict[str, Row], error: BaseException,
             seen: List[BaseException]) -> Optional[Outcome]:
    for kind in type(error).__mro__:
        row = table.get(_key(kind))
        if row is None or isinstance(row, Outcome):
            found = row
        elif isinstance(row, ByCause):
            found = _of_cause(error, seen) or row.default
        else:
            found = row(error)
        if found is not None:
            return found
    return None


def _find(error: BaseException, seen: List[BaseException]) -> Optional[Outcome]:
    """Returns the outcome of an exception; None: nothing is known about it.  `seen`
    are those that were looked at."""
    seen.append(error)
    found = (_look_up(_registered, error, seen) or _of_http_error(error) or _of_grpc_error(error)
             or _look_up(TABLE, error, seen))
    if found is None and isinstance(error, OSError):
        number = _errno_of(error)
        found = errno(number) if number else _of_cause(error, seen) or _RESET
    return found


def classify(error: BaseException) -> Outcome:
    """Returns the outcome of an exception."""
    return _find(error, []) or app(type(error).__name__)
