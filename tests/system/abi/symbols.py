#!/usr/bin/env python3
"""Checks the symbols of libbide.so and libbide.a: both have the functions that
bide.h declares and no other global symbol, and so has the version script.  All
functions of libbide.so are reachable from those, none is for operators, and no
constant is large.  Arguments: libbide.so, libbide.a, the archive of the rooms that
both are made of, bide.map, bide.h, and the compiler.

A function is reachable if a second link, of all objects of the rooms with
--gc-sections, keeps it.  That link judges sections, so each function needs a
section of its own (-ffunction-sections)."""
import collections
import os
import re
import subprocess
import sys
import tempfile

import api

SHARED, STATIC, ROOMS, SCRIPT, HEADER, COMPILER = sys.argv[1:7]
LARGEST = 16 << 10  # bytes of one object in .rodata or .data
OPERATORS = re.compile(
    r"^(admin|doctor|replay|simulate|preview|profile|traffic|script|writer"
    r"|recording_begin_now|past_record_until_now|reader_each_(child|version)"
    r"|deferred_(create|each|survey|salvage|lost|requeue|drop|counts|events|refuse))(_|$)")
faults = []


def fault(what):
    faults.append(what)


def output(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def symbols(path, kinds, *options):
    """Yields (name, size) of each symbol of the given kinds of nm."""
    for line in output("nm", "-t", "d", "-S", *options, path).splitlines():
        fields = line.split()
        if len(fields) >= 3 and fields[-2] in kinds:
            yield fields[-1], int(fields[1]) if len(fields) == 4 else 0


def global_symbols(path, table):
    found = symbols(path, "TDBRCWVui", table, "--defined-only")
    return {name.split("@")[0] for name, _ in found}


def functions_by_section():
    """Returns the functions of the rooms, by the name of their section."""
    found = collections.defaultdict(list)
    for line in output("objdump", "-t", ROOMS).splitlines():
        match = re.match(r"\S+ .{6}F (\.text\S*)\s+\S+\s+(?:\.hidden )?(\S+)$", line)
        if match:
            found[match.group(1)].append(match.group(2))
    return found


def removed_sections():
    with tempfile.TemporaryDirectory() as folder:
        text = output(COMPILER, "-shared", "-o", os.path.join(folder, "second.so"),
                      "-Wl,--whole-archive", ROOMS, "-Wl,--no-whole-archive",
                      f"-Wl,--version-script={SCRIPT}", "-Wl,--gc-sections",
                      "-Wl,--print-gc-sections")
    return re.findall(r"removing unused section '(\.text\.\S+)' in file '.*\.a\(", text)


def check_reachable():
    functions = functions_by_section()
    expected = collections.Counter()
    for section, names in functions.items():
        expected.update(names)
        for name in names:
            if not section.endswith("." + name.split(".")[0]) and not section.endswith(name):
                fault(f"{name} is in {section}: not compiled with -ffunction-sections")
    removed = removed_sections()
    if not expected or not removed:
        fault("objdump or the linker prints nothing that this test understands")
    for section in removed:
        expected.subtract(set(functions[section]))
    held = collections.Counter(name for name, _ in symbols(SHARED, "tT"))
    for name, count in sorted(expected.items()):
        if held[name] > count:
            fault(f"{name} is in libbide.so, and no public function reaches it")


def check_exported():
    declared = set(api.functions(api.preprocessed(HEADER, COMPILER)))
    for what, found in (("lib/bide.map", api.exported(SCRIPT)),
                        ("libbide.so", global_symbols(SHARED, "-D")),
                        ("libbide.a", global_symbols(STATIC, "-g"))):
        for name in sorted(declared - found):
            fault(f"{name} is declared by bide.h, and is not global in {what}")
        for name in sorted(found - declared):
            fault(f"{name} is global in {what}, and is not declared by bide.h")


def check_operators():
    for name, _ in symbols(SHARED, "tT"):
        if OPERATORS.match(name):
            fault(f"{name} is for operators, and is in libbide.so")


def check_sizes():
    for name, size in symbols(SHARED, "rRdD"):
        if size > LARGEST:
            fault(f"{name} takes {size} bytes of libbide.so: at most {LARGEST}")


for check in (check_reachable, check_exported, check_operators, check_sizes):
    check()
for text in faults:
    print(text)
print(f"symbols: {len(faults)} faults")
sys.exit(bool(faults))
