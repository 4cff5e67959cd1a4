"""Servers that bide is measured against, each started for one measurement."""
import os
import shutil
import socket
import subprocess
import sys
import time


class Server:
    """A server of our own that ends with the block; process None without one."""

    def __init__(self):
        self.process = None

    def start(self, argv, is_there):
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        for _ in range(500):
            if is_there():
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
    """On a socket in the folder; "-" without one."""

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
    """It listens to the network only, so on a port that was free just now."""

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
