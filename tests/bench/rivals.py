"""The servers that bide is compared with, each started for one measurement."""
import os
import shutil
import socket
import subprocess
import sys
import time


class Server:
    """A server process that ends with the `with` block.  `process` is None if the
    server is not installed."""

    def __init__(self):
        self.process = None

    def start(self, argv, is_ready):
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        for _ in range(500):
            if is_ready():
                return
            time.sleep(0.01)
        sys.exit(f"bench: {argv[0]} does not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            self.process.wait()


class Redis(Server):
    """Listens on a socket in the folder.  `socket` is "-" if it is not installed."""

    def __init__(self, bench, durable=False):
        super().__init__()
        self.socket = "-"
        if not shutil.which("redis-server"):
            bench.skip("redis", "apt-get install redis-server libhiredis-dev")
            return
        name = "redis-durable" if durable else "redis"
        self.socket = bench.path(name + ".sock")
        options = ["--appendonly", "yes", "--appendfsync", "always", "--appenddirname",
                   name] if durable else []
        self.start(["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "",
                    "--dir", bench.folder, *options], lambda: os.path.exists(self.socket))


class Beanstalkd(Server):
    """Listens on a TCP port, since it has no unix sockets.  The port was free a
    moment before."""

    def __init__(self, bench):
        super().__init__()
        if not shutil.which("beanstalkd"):
            bench.skip("beanstalkd", "apt-get install beanstalkd")
            return
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        folder = bench.path("beanstalkd")
        os.mkdir(folder)
        self.start(["beanstalkd", "-l", "127.0.0.1", "-p", str(self.port), "-b", folder, "-f0"],
                   self.answers)

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True
