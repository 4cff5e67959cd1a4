#!/usr/bin/env python3
"""An older and a newer bide use one registry.  argv: the top of the tree, the
directory of the build (its libbide.so, its command), which is the older bide.

The newer one is made from a copy of the tree: its version and the formats of
registry, live file, history and queue have higher numbers, and the structures in
these files are larger.  It reads an older registry too; where UPGRADE is set, its
next change gives the registry the newer format, as an upgrade would do."""
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

from another import build, copy_tree, must

TOP, BUILD = (os.path.abspath(path) for path in sys.argv[1:3])
CHANGES = (  # file, what it has, what replaces that
    ("CMakeLists.txt", r"(project\(bide VERSION) \d+", r"\1 9"),
    ("include/bide.h", r'(BIDE_VERSION) "\d+', r'\1 "9'),
    ("include/bide.h", r"(VERSION_NUMBER) 0x\d\d", r"\1 0x09"),
    ("lib/store/policies/record.h", r"(STORE_FORMAT) \d+", r"\1 99"),
    ("lib/live/layout.h", r"(LIVE_FORMAT =) \d+", r"\1 99"),
    ("lib/live/layout.h", r"struct live_header \{.*?(?=\n\};)", r"\g<0>\n    uint64_t grown[4];"),
    ("lib/live/layout.c", r"SIZE\(live_header, \d+\);", ""),
    ("lib/store/history/history_form.h", r"(HISTORY_FORMAT =) \d+", r"\1 99"),
    ("lib/store/history/history_form.h", r"struct history_state \{.*?(?=\n\};)",
     r"\g<0>\n    uint64_t grown[4];"),
    ("lib/store/history/history_form.h", r"_Static_assert\(sizeof\(struct history_state\)[^;]*;", ""),
    ("lib/store/queue/record.h", r"(DEFERRED_FORMAT) \d+", r"\1 99"),
    ("lib/store/queue/record.h", r"struct deferred_meta \{.*?(?=\n\};)", r"\g<0>\n    uint64_t grown[4];"),
    ("lib/store/queue/record.c", r"_Static_assert\(sizeof\(struct deferred_meta\)[^;]*;", ""),
    ("lib/store/queue/tree.c", r"sealed\[4 \+ sizeof\(struct tree_counts\)\]", "sealed[256]"),
    ("lib/store/pages/pages.c", r"if \(found == known\)", "if (found <= known)"),
    ("lib/store/policies/writer.c", r"rc = note_directory\(w\);\n", r"""\g<0>
    if (!rc && getenv("UPGRADE")) {
        const uint32_t format = STORE_FORMAT;
        rc = lmdb_put_sealed(w->txn, w->dbi[META], "format", 6, &format, sizeof(format), 0);
    }
"""),
)
POLICY = "[shop]\nattempts = 4\nwait = none\nimportance = postponable\n"
LOOK = 5  # seconds within which a process looks at the registry again
FORMAT = -13  # BIDE_EFORMAT
faults, running = [], []


def expect(what, condition, text=""):
    if not condition:
        faults.append(f"{what}\n{text}")


def make_newer(folder):
    """Returns the directory of the newer build."""
    tree = copy_tree(TOP, folder)
    for name, pattern, text in CHANGES:
        path = os.path.join(tree, name)
        with open(path, encoding="utf-8") as file:
            changed, times = re.subn(pattern, text, file.read(), count=1, flags=re.S)
        if not times:
            sys.exit(f"versions: {name} has no {pattern}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(changed)
    return build(tree, "bide", "bide_command")


class Registry:
    def __init__(self, folder, name, builds, program):
        self.dir = os.path.join(folder, name)
        self.live = os.path.join("/dev/shm", os.path.basename(folder) + "-" + name)
        self.builds, self.program = builds, program
        os.mkdir(self.live)
        self.run("older", "init", "--live", self.live)
        self.run("older", "apply", "-", input=POLICY)

    def run(self, bide, *words, status=0, **options):
        """Runs the command of the older or newer bide; returns what it prints."""
        environment = dict(os.environ, LC_ALL="C.UTF-8", **options.pop("env", {}))
        done = subprocess.run([os.path.join(self.builds[bide], "bide"), "--dir", self.dir, *words],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=environment, **options)
        expect(f"{bide} {' '.join(words)}: exit status {done.returncode}, not {status}",
               done.returncode == status, done.stdout)
        return done.stdout

    def start(self, bide):
        """Starts the service with the library of the older or newer bide."""
        process = subprocess.Popen([self.program, self.dir], stdin=subprocess.PIPE, text=True,
                                   stdout=subprocess.PIPE, bufsize=1,
                                   env=dict(os.environ, LD_LIBRARY_PATH=self.builds[bide]))
        running.append(process)
        return process

    def file(self, name):
        for folder, _, names in os.walk(self.dir):
            if name in names:
                return os.path.join(folder, name)
        sys.exit(f"versions: no {name}")

    def bytes_of(self, *names):
        hashes = []
        for name in names:
            with open(self.file(name), "rb") as file:
                hashes.append(hashlib.sha256(file.read()).hexdigest())
        return hashes


def ask(service, line="call"):
    service.stdin.write(line + "\n")
    return service.stdout.readline().strip()


def ask_until(service, expected):
    """Makes calls until one prints `expected`: a change that nobody announced is found
    at the next look."""
    end = time.monotonic() + 4 * LOOK
    found = ask(service)
    while found != expected and time.monotonic() < end:
        time.sleep(0.1)
        found = ask(service)
    expect(f"{found}, not {expected}", found == expected)


def refuses(r, file, *words, status=6, remedy="a newer bide wrote it: use that one"):
    """Expects that the older command refuses a file of a newer one, and says so."""
    text = r.run("older", *words, status=status, input="x")
    expect(f"older {' '.join(words)} does not say which bide is older",
           f"{file} has format 99, and this bide knows " in text and remedy in text, text)


def check_live(r):
    """A newer live file replaces the older one: services with the older library go on,
    follow changes, and are named."""
    older = r.start("older")
    expect("the older service shares the live state", ask(older) == "registry version 1, 4 attempts, status 0")
    newer = r.start("newer")
    expect("the newer service reads the older registry",
           ask(newer) == "registry version 1, 4 attempts, status 0")
    text = r.run("older", "doctor", status=1)
    expect("older doctor: live file", "was made by a newer bide" in text and "use the newer bide" in text, text)
    text = r.run("older", "list")
    expect("older list: live file", "was made by a newer bide" in text, text)
    text = r.run("older", "set", "shop", "attempts=5")
    ask_until(older, f"registry version 2, 5 attempts, status {FORMAT}")
    ask_until(newer, "registry version 2, 5 attempts, status 0")
    r.run("newer", "set", "shop", "attempts=6")
    ask_until(older, f"registry version 3, 6 attempts, status {FORMAT}")
    text = r.run("newer", "doctor", status=1)
    expect("newer doctor names the older service",
           f"wrong   rights: process {older.pid} (service) of user {os.getuid()} runs with libbide" in text
           and "start it again with the newer library" in text, text)
    expect("newer doctor names no other service", f"process {newer.pid} " not in text, text)
    older.stdin.close()
    older.wait()
    text = r.run("newer", "doctor")
    expect("without the older service nothing is wrong", "Nothing is wrong." in text, text)
    # As a service does that shares the live file and cannot read a newer registry.
    live = next(os.path.join(r.live, name) for name in os.listdir(r.live) if name.endswith(".live"))
    with open(live, "r+b") as file:
        file.seek(100)  # trouble and trouble_ns, live/layout.h
        file.write(struct.pack("<IQ", -FORMAT, time.time_ns()))
    text = r.run("newer", "doctor", status=1)
    expect("newer doctor says why a service cannot read the registry",
           "its libbide is older\n        -> start it again with the newer library" in text, text)


def check_registry(r):
    """The registry gets a newer format while a service with the older library runs."""
    older = r.start("older")
    ask(older)
    r.run("newer", "set", "shop", "attempts=7", env={"UPGRADE": "1"})
    ask_until(older, f"registry version 1, 4 attempts, status {FORMAT}")
    text = r.run("newer", "doctor", status=1)
    expect("newer doctor names the service that cannot read the registry",
           f"process {older.pid} (service)" in text and "start it again" in text, text)
    started = r.start("older")
    expect("declared rules are used without a registry",
           ask(started) == f"declared version 0, 2 attempts, status {FORMAT}")
    text = r.run("newer", "doctor", status=1)
    expect("newer doctor names the service that was started later", f"process {started.pid} " in text, text)
    before = r.bytes_of("registry.mdb")
    path = r.file("registry.mdb")
    for words in (("list",), ("show", "shop"), ("set", "shop", "attempts=8"), ("export",), ("record",),
                  ("calls",), ("metrics",), ("deferred", "list"), ("doctor",)):
        refuses(r, path, *words)
    refuses(r, path, "check", status=3, remedy="UNKNOWN")
    expect("the older command changed nothing", r.bytes_of("registry.mdb") == before)
    newer = r.start("newer")
    expect("the newer service follows", ask(newer) == "registry version 2, 7 attempts, status 0")


def check_history(r):
    """A newer recorder has written the history."""
    service = r.start("newer")
    ask(service)
    r.run("newer", "record")
    ask(service)
    r.run("newer", "record")
    # So that the older recorder has something to record.
    os.unlink(next(os.path.join(r.live, name) for name in os.listdir(r.live) if name.endswith(".live")))
    ask(r.start("older"))
    path, before = r.file("history.mdb"), r.bytes_of("history.mdb")
    for words in (("record",), ("stats", "--since", "-1h"), ("audit",)):
        refuses(r, path, *words)
    text = r.run("older", "doctor", status=1)
    expect("older doctor: history", f"{path} has format 99" in text and "use that one" in text
           and ".other" not in text, text)
    expect("the older command changed nothing", r.bytes_of("history.mdb") == before)
    text = r.run("newer", "stats", "--since", "-1h", "--json")
    expect("the newer command has the history", '"attempts"' in text, text)


def check_queue(r):
    """A newer library has deferred work."""
    r.run("newer", "deferred", "put", "shop", input="x")
    names = ("deferred.mdb", "deferred.journal")
    path, before = r.file("deferred.mdb"), r.bytes_of(*names)
    for words in (("deferred", "list"), ("deferred", "stats"), ("deferred", "put", "shop"),
                  ("deferred", "repair"), ("deferred", "show", "1"), ("deferred", "drop", "1")):
        refuses(r, path, *words)
    text = r.run("older", "doctor", status=1)
    expect("older doctor: queue", f"{path} has format 99" in text and "use that one" in text
           and "repair" not in text, text)
    service = r.start("older")
    expect("the older library defers nothing", ask(service, "defer") == f"deferred: {FORMAT}")
    expect("the older bide changed nothing", r.bytes_of(*names) == before)
    text = r.run("newer", "deferred", "stats")
    expect("the newer command has the work", re.search(r"shop +1 ", text), text)


def main():
    with tempfile.TemporaryDirectory(prefix="bide-versions-") as folder:
        builds = {"older": BUILD, "newer": make_newer(folder)}
        program = os.path.join(folder, "service")
        must("cc", "-std=c11", "-D_GNU_SOURCE", "-I" + os.path.join(TOP, "include"),
             os.path.join(TOP, "tests/system/abi/program/versions.c"), "-o", program,
             os.path.join(BUILD, "libbide.so"))
        for check in (check_live, check_registry, check_history, check_queue):
            r = Registry(folder, check.__name__, builds, program)
            try:
                check(r)
            finally:
                while running:
                    process = running.pop()
                    process.kill()
                    process.wait()
                shutil.rmtree(r.live)
    for text in faults:
        print(text)
    print(f"versions: {len(faults)} faults")
    return bool(faults)


sys.exit(main())
