#!/usr/bin/env python3
"""Flips single bits of a small history.mdb and of a small deferred.mdb, one at a
time: `bide stats` and `bide deferred list` must give the same numbers as before,
or say that something is damaged or missing.  Checks a sample, spread over the
file; all bits with BIDE_TEST_ALL=1.

argv: the command bide."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

bide = os.path.abspath(sys.argv[1])
SAMPLE = 700
SAID = ("damaged", "missing")


def run(*words, text=""):
    return subprocess.run([bide, "--dir", "r", *words], input=text, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def make_registry():
    run("init", "--live", os.path.abspath("live"))
    open("p.ini", "w").write("[pay]\n[order]\n[mail]\nimportance = postponable\n")
    run("apply", "p.ini")
    for name in ("pay", "order"):
        for command in ("true", "true", "false"):
            run("exec", name, "--", command)
    run("record")
    run("exec", "pay", "--", "true")
    for i in range(6):
        run("deferred", "put", "mail", "--key", f"k{i}", text=f"piece {i}\n")
    run("deferred", "put", "order", text="x" * 3000)
    run("deferred", "repair")


def refused(done):
    """Returns what was said; a command that shows no numbers has said enough."""
    return done.stderr + ("damaged" if done.stderr and not done.stdout else "")


def calls():
    """Returns the counts of each policy, and what was said."""
    done = run("stats", "--since", "-2h", "--json")
    rows = json.loads(done.stdout)["rows"] if done.stdout else []
    return {r.get("policy"): r["calls"] for r in rows}, refused(done)


def work():
    done = run("deferred", "list", "--json")
    pieces = json.loads(done.stdout)["deferred"] if done.stdout else []
    return [(p["id"], p["policy"], p["state"], p.get("attempts"), p.get("key"),
             p.get("bytes")) for p in pieces], refused(done)


def used_bytes(data):
    """Returns the offsets of bytes that are in pages with anything in them."""
    pages = range(0, len(data), 4096)
    return [at for page in pages if any(data[page:page + 4096])
            for at in range(page, min(page + 4096, len(data)))]


def flip_each(name, ask, others):
    path = os.path.join("r", name)
    whole = {n: open(os.path.join("r", n), "rb").read() for n in (name, *others)}
    bits = [(at, bit) for at in used_bytes(whole[name]) for bit in range(8)]
    if os.environ.get("BIDE_TEST_ALL") != "1":
        # The first bytes of a page, and bytes that are not 0, matter most.
        dense = [b for b in bits if whole[name][b[0]] or b[0] % 4096 < 64]
        # In the key of the last piece's head: it stays the last one.
        last = [(m.end() - 1, 4) for m in re.finditer(rb"h\0{7}\x07", whole[name])]
        bits = dense[::max(1, len(dense) // SAMPLE)] + last
    right, said = ask()
    assert right and not said, (right, said)
    told = wrong = 0
    for at, bit in bits:
        data = bytearray(whole[name])
        data[at] ^= 1 << bit
        for n in others:
            open(os.path.join("r", n), "wb").write(whole[n])
        with open(path, "wb") as f:
            f.write(data)
        got, said = ask()
        told += bool(said)
        if got != right and not any(word in said for word in SAID):
            wrong += 1
            print(f"FAILED {name}: byte {at}, bit {bit}: {got}, said: {said!r}")
    for n in whole:
        open(os.path.join("r", n), "wb").write(whole[n])
    print(f"{name}: {len(bits)} bits flipped, {told} times something was said, {wrong} wrong")
    return wrong + (told == 0)


work_dir = tempfile.mkdtemp(prefix="bide-flips-")
os.chdir(work_dir)
make_registry()
faults = flip_each("history/history.mdb", calls, [])
faults += flip_each("deferred/deferred.mdb", work, ["deferred/deferred.journal", "deferred/deferred.checked"])
os.chdir("/")
shutil.rmtree(work_dir)
sys.exit(1 if faults else 0)
