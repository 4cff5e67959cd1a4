#!/usr/bin/env python3
"""Clients that must not stop bide serve, nor make its memory grow.  argv[1] is its
URL, argv[2] its pid, argv[3] one of the cases below.  After each case a normal
scrape must be answered."""
import os
import random
import resource
import selectors
import socket
import sys
import time
import urllib.parse

URL, PID, CASE = urllib.parse.urlsplit(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
WHERE = (URL.hostname, URL.port)
PATIENCE = 100  # seconds: an upper limit for each wait
MANY = 1000
GROWTH_KIB = 64 * 1024


def connect():
    s = socket.create_connection(WHERE, PATIENCE)
    s.settimeout(PATIENCE)
    return s


def request(path="/metrics", more=""):
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode()


def read_all(s):
    got = b""
    while True:
        part = s.recv(1 << 16)
        if not part:
            return got
        got += part


def scrape():
    """Scrapes as Prometheus does, and again if the server disconnects it."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with connect() as s:
                s.sendall(request(more="Connection: close\r\n"))
                got = read_all(s)
            if got:
                break
        except OSError:
            pass
        assert time.monotonic() < until, "the server does not answer"
        time.sleep(0.05)
    assert got.startswith(b"HTTP/1.1 200 "), got[:200]
    assert b"\nbide_up 1\n" in got, got[:200]


def of_process(what):
    if what == "fds":
        return len(os.listdir(f"/proc/{PID}/fd"))
    with open(f"/proc/{PID}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def settled(fds):
    """Waits until the server has closed every connection."""
    until = time.monotonic() + PATIENCE
    while of_process("fds") > fds + 2:
        assert time.monotonic() < until, "connections stay"
        time.sleep(0.05)


def crowd(begin):
    """Opens MANY connections at once; each sends `begin` and then nothing."""
    all_of_them = []
    for _ in range(MANY):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(WHERE)
        all_of_them.append(s)
    chooser = selectors.DefaultSelector()
    for s in all_of_them:
        chooser.register(s, selectors.EVENT_WRITE)
    until = time.monotonic() + 5
    while chooser.get_map() and time.monotonic() < until:
        for key, _ in chooser.select(0.2):
            chooser.unregister(key.fileobj)
            try:
                key.fileobj.send(begin)
            except OSError:
                pass
    return all_of_them


def hang(begin):
    crowd_of_them = crowd(begin)
    scrape()
    scrape()
    for s in crowd_of_them:
        s.close()


def silent():
    hang(b"")


def half():
    hang(b"GET /metrics HTTP/1.1\r\nHost: local")


def unread():
    """Requests a large answer and never reads it."""
    hang(request())


def body():
    """Announces a body that never comes."""
    hang(request(more="Content-Length: 1000000000\r\n") + b"x")


def trickle():
    """Sends a byte now and then: the connection must end all the same."""
    slow = [connect() for _ in range(300)]
    begin, sent = request(more="X-Slow: " + 4000 * "x" + "\r\n"), 0
    shut = set()
    until = time.monotonic() + PATIENCE
    while len(shut) < len(slow):
        assert time.monotonic() < until, f"{len(slow) - len(shut)} are still there"
        for i, s in enumerate(slow):
            if i not in shut:
                try:
                    s.send(begin[sent % 4000:sent % 4000 + 1])
                    s.setblocking(False)
                    if s.recv(1) == b"":
                        shut.add(i)
                except BlockingIOError:
                    pass
                except OSError:
                    shut.add(i)
        sent += 1
        time.sleep(0.2)
    for s in slow:
        s.close()


def thousand():
    """Sends MANY valid requests at once: all must be answered."""
    paths = ["/metrics", "/", "/api/now", "/api/policies", "/api/policies/pay", "/none"]
    waiting, answers, tries = selectors.DefaultSelector(), {}, {}

    def ask(i):
        tries[i] = tries.get(i, 0) + 1
        assert tries[i] < 1000, "never answered"
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(WHERE)
        waiting.register(s, selectors.EVENT_WRITE, (i, []))

    for i in range(MANY):
        ask(i)
    until = time.monotonic() + PATIENCE
    while len(answers) < MANY:
        assert time.monotonic() < until, f"{MANY - len(answers)} have no answer"
        for key, event in waiting.select(1):
            s, (i, parts) = key.fileobj, key.data
            try:
                if event & selectors.EVENT_WRITE:
                    s.send(request(paths[i % len(paths)], "Connection: close\r\n"))
                    waiting.modify(s, selectors.EVENT_READ, key.data)
                    continue
                got = s.recv(1 << 18)
            except OSError:
                got, parts = b"", []
            if got:
                parts.append(got)
                continue
            waiting.unregister(s)
            s.close()
            if parts:
                answers[i] = b"".join(parts)
            else:
                ask(i)  # disconnected: try again
    for i, got in answers.items():
        expected = b" 404 " if paths[i % len(paths)] == "/none" else b" 200 "
        assert expected in got[:20], got[:100]


GARBAGE = [
    b"\r\n\r\n", b"\n\n\n\n", b"\0" * 4096, b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n", b"/ GET HTTP/1.1\r\nHost: localhost\r\n\r\n", b"G" * 100000,
    b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /%00%ff%zz%2e%2e/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /api/policies/%22%3Cscript%3E HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /api/policies/" + b"%2f" * 1000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /?" + b"&=" * 3000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"y" * 100000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", b"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100000,
    b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(range(256)),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2,
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200,
    b"GET /metrics HTTP/1.0\r\n\r\n", b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50,
]


def garbage():
    chance = random.Random(4711)
    alphabet = [b"GET ", b"/metrics", b" HTTP/1.1", b"\r\n", b"Host: localhost", b":", b"\0", b"%", b"\xff", b"chunked",
                b"Transfer-Encoding: ", b"Content-Length: ", b"-1", b"99", b"\n", b" ", b"/api/policies/"]
    for i in range(400):
        GARBAGE.append(b"".join(chance.choices(alphabet, k=chance.randrange(1, 40))) if i % 2
                       else chance.randbytes(chance.randrange(1, 3000)))
    waiting = selectors.DefaultSelector()
    for bytes_ in GARBAGE:
        s = connect()
        try:
            s.sendall(bytes_)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            s.close()  # the server closed it early
            continue
        waiting.register(s, selectors.EVENT_READ, (bytes_, []))
    until = time.monotonic() + PATIENCE
    while waiting.get_map():
        assert time.monotonic() < until, [k.data[0][:100] for k in waiting.get_map().values()]
        for key, _ in waiting.select(1):
            bytes_, parts = key.data
            try:
                got = key.fileobj.recv(1 << 16)
            except OSError:
                got = b""
            if got:
                parts.append(got)
                continue
            waiting.unregister(key.fileobj)
            key.fileobj.close()
            answer = b"".join(parts)
            assert answer == b"" or answer.startswith(b"HTTP/1."), (bytes_[:100], answer[:100])
            if b"<script>" in answer:  # the path is echoed only as text
                assert b"text/html" in answer or b"nosniff" in answer, bytes_[:100]
    scrape()


soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
scrape()
fds_before = of_process("fds")
cases = {f.__name__: f for f in (silent, half, unread, body, trickle, thousand, garbage)}
cases[CASE]()  # the first time allocates what is kept
settled(fds_before)
memory = of_process("memory")
if CASE not in ("trickle", "garbage"):
    cases[CASE]()
    settled(fds_before)
scrape()
grown = of_process("memory") - memory
print(f"{CASE}: {grown} KiB grown")
assert grown < GROWTH_KIB, f"{grown} KiB grown"
