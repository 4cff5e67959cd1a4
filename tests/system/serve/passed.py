#!/usr/bin/env python3
"""passed.py KIND COMMAND...: runs the command with a socket, as systemd does.

KIND: one, datagram, unix, connected, two (sockets), garbage (as their number), other
(they are for another process), restart (the command must answer a request, and again
when it was ended and started anew).  Exits as the command does.
"""
import os
import signal
import socket
import sys
import urllib.request

kind, command = sys.argv[1], sys.argv[2:]
family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
first = socket.socket(family, socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM)
first.bind("" if kind == "unix" else ("127.0.0.1", 0))
if kind not in ("datagram", "connected"):
    first.listen()
URL = None if kind == "unix" else "http://127.0.0.1:%d" % first.getsockname()[1]


def run():
    fd = os.dup(first.fileno()) if first.fileno() == 3 else first.fileno()
    os.dup2(fd, 3, inheritable=True)
    os.environ["LISTEN_PID"] = str(os.getppid() if kind == "other" else os.getpid())
    os.environ["LISTEN_FDS"] = {"two": "2", "garbage": "1x"}.get(kind, "1")
    os.execv(command[0], command)


def start():
    """Returns the process and the address that it prints."""
    ours, its = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(its, 1)
        run()
    os.close(its)
    with os.fdopen(ours) as printed:
        return pid, printed.readline().strip().rstrip("/")


def end(pid):
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def answers(url):
    with urllib.request.urlopen(url + "/metrics", timeout=60) as answer:
        assert b"bide_up 1" in answer.read()


if kind == "other":
    server, url = start()
    assert url != URL, url
    answers(url)
    end(server)
elif kind == "restart":
    for _ in range(2):
        # A client that comes first waits in the socket.
        with socket.create_connection(first.getsockname()) as early:
            early.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            server, url = start()
            assert url == URL, (url, URL)
            assert early.recv(4) == b"HTTP"
        answers(url)
        end(server)
else:
    run()
