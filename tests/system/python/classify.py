"""The table of exceptions: by shape, without the libraries that raise them; and
with those that are installed."""
import asyncio
import concurrent.futures
import errno
import http.client
import io
import socket
import ssl
import subprocess
import sys
import unittest
import urllib.error
import urllib.request

import bide
import fixture
from bide.outcomes import classify


def shape(name, *bases, **fields):
    """Makes an exception of the class `package.Name`, which need not be installed."""
    package, _, kind = name.rpartition(".")
    cls = type(kind, bases or (Exception,), {})
    cls.__module__ = package
    error = cls(*fields.pop("args", ()))
    for key, value in fields.items():
        setattr(error, key, value)
    return error


def caused(error, cause):
    """Returns the exception, with a cause."""
    error.__cause__ = cause
    return error


class Response:
    """Has what responses of most libraries have."""

    def __init__(self, status_code, headers=None):
        self.status_code, self.headers = status_code, headers or {}


class Code:
    """Is like grpc.StatusCode."""

    def __init__(self, number):
        self.value = (number, "name")


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
AGAIN = socket.gaierror(socket.EAI_AGAIN, "again")
V1 = shape("urllib3.exceptions.NewConnectionError", type(shape(
    "urllib3.exceptions.ConnectTimeoutError", type(shape("urllib3.exceptions.TimeoutError")))))
NOT_FOUND = caused(shape("urllib3.exceptions.NameResolutionError", type(V1)), AGAIN)

TABLE = [
    (ConnectionResetError(), "errno.ECONNRESET"),
    (ConnectionResetError("text", 1), "errno.ECONNRESET"),
    (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "errno.ECONNREFUSED"),
    (BrokenPipeError(), "errno.EPIPE"),
    (OSError(errno.ENOSPC, "full"), "errno.ENOSPC"),
    (OSError("text"), "errno.ECONNRESET"),
    (TimeoutError(), "errno.ETIMEDOUT"),
    (socket.timeout("timed out"), "errno.ETIMEDOUT"),
    (asyncio.TimeoutError(), "errno.ETIMEDOUT"),
    (concurrent.futures.TimeoutError(), "errno.ETIMEDOUT"),
    (asyncio.IncompleteReadError(b"", 1), "errno.ECONNRESET"),
    (AGAIN, "dns.EAI_AGAIN"),
    (socket.gaierror(socket.EAI_NONAME, "x"), "dns.EAI_NONAME"),
    (http.client.RemoteDisconnected("x"), "errno.ECONNRESET"),
    (http.client.IncompleteRead(b""), "errno.ECONNRESET"),
    (ssl.SSLCertVerificationError(1, "x"), "app.SSLCertVerificationError"),
    (ssl.SSLEOFError(8, "x"), "errno.ECONNRESET"),
    (urllib.error.HTTPError("u", 503, "x", {}, io.BytesIO()), "http.503"),
    (urllib.error.URLError(AGAIN), "dns.EAI_AGAIN"),
    (urllib.error.URLError(REFUSED), "errno.ECONNREFUSED"),
    (urllib.error.URLError("unknown url type"), "app.URLError"),
    (subprocess.CalledProcessError(75, "x"), "exit.75"),
    (subprocess.CalledProcessError(-9, "x"), "signal.SIGKILL"),
    (subprocess.TimeoutExpired("x", 1), "errno.ETIMEDOUT"),
    (ValueError("x"), "app.ValueError"),
    (shape("urllib3.exceptions.MaxRetryError", reason=caused(V1, REFUSED)), "errno.ECONNREFUSED"),
    (shape("urllib3.exceptions.MaxRetryError", reason=NOT_FOUND), "dns.EAI_AGAIN"),
    (shape("urllib3.exceptions.ReadTimeoutError", type(shape("urllib3.exceptions.TimeoutError"))),
     "errno.ETIMEDOUT"),
    (shape("urllib3.exceptions.ProtocolError", args=("aborted", REFUSED)), "errno.ECONNREFUSED"),
    (shape("urllib3.exceptions.ProtocolError", args=("aborted",)), "errno.ECONNRESET"),
    (shape("requests.exceptions.HTTPError", OSError, response=Response(502)), "http.502"),
    (shape("requests.exceptions.ConnectionError", OSError, args=(
        shape("urllib3.exceptions.MaxRetryError", reason=NOT_FOUND),)), "dns.EAI_AGAIN"),
    (shape("requests.exceptions.ConnectionError", OSError, args=("text",)), "errno.ECONNRESET"),
    (shape("requests.exceptions.ConnectTimeout", type(shape("requests.exceptions.Timeout", OSError))),
     "errno.ETIMEDOUT"),
    (shape("requests.exceptions.SSLError", type(shape("requests.exceptions.ConnectionError", OSError)),
           args=(ssl.SSLCertVerificationError(1, "x"),)), "app.SSLCertVerificationError"),
    (shape("httpx.ConnectTimeout", type(shape("httpx.TimeoutException"))), "errno.ETIMEDOUT"),
    (caused(shape("httpx.ConnectError"), caused(shape("httpcore.ConnectError"), AGAIN)),
     "dns.EAI_AGAIN"),
    (shape("httpx.RemoteProtocolError"), "errno.ECONNRESET"),
    (shape("httpx.ReadError", type(shape("httpx.NetworkError"))), "errno.ECONNRESET"),
    (shape("httpx.HTTPStatusError", response=Response(429)), "http.429"),
    (shape("aiohttp.client_exceptions.ClientResponseError", status=500, headers={}), "http.500"),
    (shape("aiohttp.client_exceptions.ServerDisconnectedError"), "errno.ECONNRESET"),
    (shape("aiohttp.client_exceptions.ServerTimeoutError", asyncio.TimeoutError), "errno.ETIMEDOUT"),
    (shape("aiohttp.client_exceptions.ClientConnectorError", OSError, args=(-2, "x"), os_error=AGAIN),
     "dns.EAI_AGAIN"),
    (shape("aiohttp.client_exceptions.ClientOSError", OSError, args=(errno.EPIPE, "x")),
     "errno.EPIPE"),
    (shape("grpc._channel._InactiveRpcError", code=lambda: Code(14)), "grpc.UNAVAILABLE"),
    (shape("grpc.aio.AioRpcError", code=lambda: Code(8)), "grpc.RESOURCE_EXHAUSTED"),
    (shape("botocore.exceptions.ClientError", response={"ResponseMetadata": {"HTTPStatusCode": 503}}),
     "http.503"),
    (shape("strange.Error", code="abc", response=3), "app.Error"),
    (shape("strange.Error", code=7), "app.Error"),
    (shape("strange.Fehler_ö"), "app.other"),
]


class Classify(unittest.TestCase):
    def setUp(self):
        test = bide.testing(declare=fixture.RULES).start()
        self.addCleanup(test.stop)

    def test_the_table(self):
        for error, name in TABLE:
            with self.subTest(repr(error), name=name):
                if name == "app.other":
                    self.assertEqual(str(bide.policy("pay").run(self.fail_with, error).outcome), name)
                else:
                    self.assertEqual(str(classify(error)), name)

    @staticmethod
    def fail_with(error):
        """Raises it."""
        raise error

    def test_no_library_is_imported(self):
        for name in ("requests", "urllib3", "httpx", "aiohttp", "grpc"):
            self.assertNotIn(name, sys.modules)

    def test_hints_of_the_server(self):
        error = shape("requests.exceptions.HTTPError", OSError,
                      response=Response(503, {"Retry-After": "7"}))
        self.assertEqual(bide.policy("once").run(self.fail_with, error).outcome.after, 7)
        error = shape("httpx.HTTPStatusError", response=Response(503, {"retry-after": "8"}))
        self.assertEqual(bide.policy("once").run(self.fail_with, error).outcome.after, 8)
        error = shape("grpc.Error", code=lambda: Code(14),
                      trailing_metadata=lambda: (("grpc-retry-pushback-ms", "1500"),))
        self.assertEqual(classify(error).after, 1.5)
        error.trailing_metadata = lambda: (("grpc-retry-pushback-ms", "-1"),)
        self.assertEqual(classify(error).after, bide.outcomes.NEVER)

    def test_causes_in_a_circle(self):
        one, other = OSError("one"), OSError("other")
        one.__cause__, other.__cause__ = other, one
        self.assertEqual(str(classify(one)), "errno.ECONNRESET")
        one, other = urllib.error.URLError("one"), urllib.error.URLError("other")
        one.reason, other.reason = other, one
        self.assertEqual(str(classify(one)), "app.URLError")

    def test_a_program_extends_the_table(self):
        bide.outcomes.register("strange.Busy", bide.app("busy"))
        bide.outcomes.register(ZeroDivisionError, lambda error: bide.errno(errno.EAGAIN))
        bide.outcomes.register(TimeoutError, lambda error: None)
        self.addCleanup(bide.outcomes.unregister, "strange.Busy")
        self.addCleanup(bide.outcomes.unregister, ZeroDivisionError)
        self.addCleanup(bide.outcomes.unregister, TimeoutError)
        self.assertEqual(str(classify(shape("strange.inside.Busy"))), "app.busy")
        self.assertEqual(str(classify(ZeroDivisionError())), "errno.EAGAIN")
        self.assertEqual(str(classify(TimeoutError())), "errno.ETIMEDOUT")

    def test_responses(self):
        of = bide.outcomes.of_response
        self.assertEqual(str(of(Response(503))), "http.503")
        self.assertEqual(of(Response(503, {"Retry-After": "3"})).text, "3")
        self.assertIsNone(of(object()))

    def test_real_errors_of_urllib(self):
        with self.assertRaises(OSError) as caught:
            urllib.request.urlopen("http://127.0.0.1:1/", timeout=5)
        self.assertEqual(str(classify(caught.exception)), "errno.ECONNREFUSED")

    def real(self, library, call, name):
        """Compares the outcome of what a library raises."""
        try:
            module = __import__(library)
        except ImportError:
            self.skipTest(f"needs python3-{library}")
        try:
            call(module)
        except Exception as error:  # pylint: disable=broad-except
            self.assertEqual(str(classify(error)), name)
        else:
            self.fail("nothing raised")

    def test_real_errors_of_requests(self):
        self.real("requests", lambda m: m.get("http://127.0.0.1:1/", timeout=5), "errno.ECONNREFUSED")

    def test_real_errors_of_urllib3(self):
        self.real("urllib3", lambda m: m.PoolManager().request("GET", "http://127.0.0.1:1/", retries=1),
                  "errno.ECONNREFUSED")

    def test_real_errors_of_httpx(self):
        self.real("httpx", lambda m: m.get("http://127.0.0.1:1/"), "errno.ECONNREFUSED")

    def test_real_errors_of_aiohttp(self):
        async def get(module):
            async with module.ClientSession() as session:
                await session.get("http://127.0.0.1:1/")
        self.real("aiohttp", lambda m: asyncio.run(get(m)), "errno.ECONNREFUSED")


if __name__ == "__main__":
    fixture.main()
