#!/usr/bin/env python3
"""Checks rules that the compiler cannot check: the sizes of files, functions and
folders, and one owner for each foreign header and for the clock.  argv[1] is the
top of the tree."""
import os
import re
import subprocess
import sys

TOP = sys.argv[1]
FILE_LINES, HEADER_LINES, FUNCTION_LINES, COLUMNS = 600, 90, 80, 80
LONG_HEADERS = {  # the API between rooms, or tables
    "lib/policy/policy.h", "lib/policy/rules.h",
    "lib/registry/registry.h", "lib/rule/guard.h", "lib/rule/machine.h", "cli/exec/exec.h", "cli/command/command.h",
    "lib/store/history/history_form.h", "lib/store/queue/queue.h",
    "lib/record/past.h", "lib/live/counters.h", "lib/doctor/finding_kinds.h",
    "lib/admin/change.h", "lib/store/policies/record.h", "cli/command/option_table.h",
}
FOLDER_FILES = 30
TOP_NAMES = {"lib", "cli", "include", "tests", "policies", "CMakeLists.txt", "README.md",
             "LICENSE", "CHANGELOG.md", "build"}
OWNERS = {
    "lmdb.h": r"lib/store/(file/env\.h)",
    "ini.h": r"lib/policy/ini\.c",
    "linux/futex.h": r"lib/live/wake\.c",
    "sys/sdt.h": r"lib/registry/probe\.h",
    "jansson.h": r"cli/out/json\.c|lib/fleet/(document|gateway)\.c",
    "curl/curl.h": r"lib/fleet/etcd\.c|include/bide_curl\.h",
    "microhttpd.h": r"cli/serve/serve_http\.c",
}
faults = []


def fault(path, line, what):
    faults.append(f"{path}:{line}: {what}")


def files():
    found = []
    for top in ("lib", "cli", "include"):
        for folder, _, names in os.walk(os.path.join(TOP, top)):
            found += [os.path.relpath(os.path.join(folder, n), TOP)
                      for n in names if n.endswith((".c", ".h"))]
    return sorted(found)


def check_sizes(path, lines):
    if len(lines) > FILE_LINES:
        fault(path, len(lines), f"{len(lines)} lines, at most {FILE_LINES}")
    if path.endswith(".h") and path.startswith(("lib/", "cli/")) and len(lines) > HEADER_LINES \
            and path not in LONG_HEADERS:
        fault(path, len(lines), f"a private header of {len(lines)} lines, at most {HEADER_LINES}")
    for number, line in enumerate(lines, 1):
        if len(line.encode("utf-8").decode("utf-8")) > COLUMNS:
            fault(path, number, f"{len(line)} columns")


def check_functions(path, lines):
    begin = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            begin = number
        elif line == "}" and begin:
            if number - begin - 1 > FUNCTION_LINES:
                fault(path, begin, f"a function of {number - begin - 1} lines")
            begin = None


def check_includes(path, lines):
    for number, line in enumerate(lines, 1):
        match = re.match(r'#include\s+([<"])([^>"]+)', line)
        if not match:
            continue
        name = match.group(2)
        owner = OWNERS.get(os.path.basename(name) if name.startswith("libsmart") else name)
        if owner and not re.fullmatch(owner, path):
            fault(path, number, f"<{name}> belongs to {owner}")
        if "../" in name:
            fault(path, number, "the path of an include must not contain ..")


def check_clock(path, lines):
    """Checks that only one file reads the clock."""
    for number, line in enumerate(lines, 1):
        if re.search(r"\b(clock_gettime|gettimeofday)\(", line) and path != "lib/base/clock.c":
            fault(path, number, "the clock belongs to lib/base/clock.c")


def check_folders(paths):
    count = {}
    for path in paths:
        count[os.path.dirname(path)] = count.get(os.path.dirname(path), 0) + 1
    for folder, files_in in sorted(count.items()):
        if files_in > FOLDER_FILES:
            fault(folder, 1, f"{files_in} files, at most {FOLDER_FILES}")


def check_others(paths):
    """Checks the size of tests, scripts and pages, but not of test vectors, manual
    pages and what abidw writes."""
    for path in paths:
        if path.startswith(("tests/vectors/", "cli/man/")) or path.endswith(".abi") or not os.path.isfile(os.path.join(TOP, path)):
            continue
        with open(os.path.join(TOP, path), encoding="utf-8") as file:
            lines = len(file.readlines())
        if lines > FILE_LINES:
            fault(path, lines, f"{lines} lines, at most {FILE_LINES}")


def check_skips(paths):
    """Checks that no bats file skips in setup_file, which bats takes for a failure."""
    for path in paths:
        if not path.endswith(".bats"):
            continue
        with open(os.path.join(TOP, path), encoding="utf-8") as file:
            setup = re.search(r"^setup_file\(\) \{$.*?^\}$", file.read(), re.M | re.S)
        if setup and re.search(r"\bskip ", setup.group()):
            fault(path, 1, "setup_file skips: use skip_all")


def check_top(paths):
    names = {n.split("/")[0] for n in paths}
    for name in sorted(names - TOP_NAMES):
        if not name.startswith("."):
            fault(name, 1, "not allowed at the top of the tree")


for each in files():
    text = open(os.path.join(TOP, each), encoding="utf-8").read().splitlines()
    check_sizes(each, text)
    check_functions(each, text)
    check_includes(each, text)
    check_clock(each, text)
tracked = subprocess.run(["git", "-C", TOP, "ls-files"], capture_output=True, text=True).stdout.splitlines()
check_others(t for t in tracked if t not in files())
check_skips(tracked)
check_top(tracked)
check_folders(tracked)
print("\n".join(faults))
print(f"structure: {len(files())} files, {len(faults)} faults")
sys.exit(1 if faults else 0)
