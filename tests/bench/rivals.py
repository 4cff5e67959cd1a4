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

    def start(self, argv, is_ready, **options):
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, **options)
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


class Knot(Server):
    """Has `zones` zones without records; `read` is the command that prints its
    configuration, None if it is not installed."""

    def __init__(self, bench, zones):
        super().__init__()
        self.read = None
        if not shutil.which("knotd"):
            bench.skip("knotc conf-read", "apt-get install knot")
            return
        folder = bench.path("knot")
        os.mkdir(folder)
        conf, sock = os.path.join(folder, "conf"), os.path.join(folder, "knot.sock")
        with open(conf + ".txt", "w") as file:
            file.write(f"server:\n  rundir: {folder}\ndatabase:\n  storage: {folder}\n"
                       f"template:\n  - id: default\n    storage: {folder}\nzone:\n")
            file.writelines(f"  - domain: policy-{i}.example.\n" for i in range(zones))
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["knotc", "-C", conf, "conf-import", conf + ".txt"], check=True, **quiet)
        self.read = ["knotc", "-C", conf, "-s", sock, "conf-read"]
        self.start(["knotd", "-C", conf, "-s", sock],
                   lambda: subprocess.run(self.read, check=False, **quiet).returncode == 0,
                   stderr=subprocess.DEVNULL)  # no zone has a file


class Varnish(Server):
    """`read` is the command that prints its counters, None if it is not installed."""

    def __init__(self, bench):
        super().__init__()
        self.read = None
        if not shutil.which("varnishd"):
            bench.skip("varnishstat -1", "apt-get install varnish")
            return
        folder = bench.path("varnish")
        self.read = ["varnishstat", "-1", "-n", folder, "-t", "0"]
        options = ["-j", "none"] if os.getuid() == 0 else []
        self.start(["varnishd", *options, "-n", folder, "-a", "127.0.0.1:0", "-b", "none", "-F"],
                   lambda: b"MAIN.uptime" in subprocess.run(
                       self.read, check=False, stdout=subprocess.PIPE,
                       stderr=subprocess.DEVNULL).stdout, stderr=subprocess.DEVNULL)


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
