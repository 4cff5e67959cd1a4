"""How long commands that read take, in a registry with many policies in use."""
import os
import pty
import subprocess
import time

from rivals import Knot, Varnish

COMMANDS = {
    "list": ["list"],
    "list_json": ["list", "--json"],
    "stats": ["stats"],
    "export": ["export"],
    "get": ["get", "policy-6", "attempts"],
    "show": ["show", "policy-6", "--resolved"],
    "log": ["log", "policy-6"],
    "stats_one": ["stats", "policy-6"],
    "breaker": ["breaker", "policy-6"],
    "check": ["check", "policy-6"],
    "check_all": ["check"],
    "doctor": ["doctor"],
    "log_all": ["log"],
    "metrics": ["metrics"],
}


def policies(count):
    """Returns policies of which many have the same keys; a third has a breaker."""
    return "".join(f"[policy-{i}]\nattempts = {i % 9 + 2}\nwait_initial = {i % 90 + 10}ms\n"
                   "wait_max = 10s\nretry_on = transient, http.409\n"
                   f"breaker = {'off' if i % 3 else 'on'}\n" for i in range(count))


def took_ns(argv):
    """Returns the time from the start of a program to its end."""
    begin = time.perf_counter_ns()
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, check=False)
    took = time.perf_counter_ns() - begin
    if done.returncode > 3:  # up to 3, check and doctor report what they found
        raise subprocess.CalledProcessError(done.returncode, argv)
    return took


def top_ns(bide, folder):
    """Returns the CPU time of bide top, ended after its first screen."""
    pid, screen = pty.fork()
    if pid == 0:
        os.execve(bide, [bide, "--dir", folder, "top"], {**os.environ, "TERM": "xterm"})
    seen = b""
    while b"q quit" not in seen:
        seen += os.read(screen, 65536)
    os.write(screen, b"q")
    try:
        while os.read(screen, 65536):
            pass
    except OSError:
        pass  # it has ended
    _, _, used = os.wait4(pid, 0)
    os.close(screen)
    return (used.ru_utime + used.ru_stime) * 1e9


def measure(bench, count, rounds):
    """Runs each command in turn, with those that it is compared with."""
    folder = bench.registry("read", policies(count))
    with subprocess.Popen([bench.program("busy"), folder, str(count), "2"], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as busy, \
            Knot(bench, count) as knot, Varnish(bench) as varnish:
        busy.stdout.readline()
        for _ in range(rounds):
            for name, words in COMMANDS.items():
                bench.keep_one(f"read_{name}", took_ns([bench.bide, "--dir", folder, *words]))
            for name, rival in (("knot", knot), ("varnish", varnish)):
                if rival.read:
                    bench.keep_one(f"read_{name}", took_ns(rival.read))
            bench.keep_one("read_top", top_ns(bench.bide, folder))
        busy.stdin.close()
