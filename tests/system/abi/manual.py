#!/usr/bin/env python3
"""Checks bide(3): it equals the output of cli/man/from_header, has each function and
type of bide.h, and its programs compile and run.  Checks the numbers of
bide(7), and that no formatter warns about a page.  Arguments: the top of the tree, the directory of the built library, the compiler, and
the sanitizers the library was built with."""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

import api

TOP, BUILD, COMPILER = sys.argv[1:4]
PAGE = os.path.join(TOP, "cli/man/bide.3")
INCLUDE = os.path.join(TOP, "include")
COLUMNS = 80
PRINTED = (  # by each program of the page
    "succeeded after 3 attempts: 42\n",
    "exhausted after 3 attempts: errno.ENOENT\n",
    "succeeded\nsucceeded\n",
)
faults = []


def run(*argv, **how):
    return subprocess.run(argv, capture_output=True, text=True, check=False, **how)


def check_generated(page):
    made = run(os.path.join(TOP, "cli/man/from_header"))
    if made.returncode or made.stdout != page:
        faults.append("cli/man/bide.3 is not what cli/man/from_header makes: run\n"
                      "  cli/man/from_header >cli/man/bide.3\n"
                      + made.stderr)


def check_functions(page):
    header = os.path.join(INCLUDE, "bide.h")
    for name in sorted(api.functions(api.preprocessed(header, COMPILER))):
        if not re.search(rf"^\.BI? .*\b{name}\(", page, re.M):
            faults.append(f"{name} is declared by bide.h, and has no entry")


def check_types(page):
    for name in ("bide.h", "bide_outcome.h"):
        with open(os.path.join(INCLUDE, name), encoding="utf-8") as file:
            for kind in re.findall(r"^((?:struct|enum) bide_\w+) \{", file.read(), re.M):
                if f"\n.B {kind}\n" not in page:
                    faults.append(f"{kind} is defined by {name}, and has no entry")


def programs(page):
    """Returns the C programs of the page, as a reader sees them."""
    found = re.findall(r"^\.nf\n(.*?)^\.fi\n", page[page.index("\n.SH EXAMPLES"):], re.M | re.S)
    for number, text in enumerate(found):
        text = re.sub(r"^\\&", "", text, flags=re.M)
        for escaped, character in (("\\(dq", '"'), ("\\(aq", "'"), ("\\(ti", "~"), ("\\(ha", "^"),
                                   ("\\-", "-"), ("\\e", "\\")):
            text = text.replace(escaped, character)
        found[number] = text
    return found


def check_programs(page):
    found = programs(page)
    if len(found) != len(PRINTED):
        faults.append(f"{len(found)} programs, not {len(PRINTED)}")
    flags = [f"-fsanitize={sys.argv[4]}"] if sys.argv[4:] and sys.argv[4] else []
    for number, (text, printed) in enumerate(zip(found, PRINTED), 1):
        with tempfile.TemporaryDirectory() as work:
            environment = dict(os.environ, BIDE_DIR=os.path.join(work, "registry"),
                               LD_LIBRARY_PATH=BUILD)
            with open(os.path.join(work, "program.c"), "w", encoding="utf-8") as file:
                file.write(text)
            done = run(COMPILER, "-Wall", "-Wextra", "-Werror", *flags, "-I", INCLUDE, "program.c",
                       "-L", BUILD, "-lbide", "-o", "program", cwd=work)
            if done.returncode == 0:
                done = run(os.path.join(work, "program"), cwd=work, env=environment)
            if done.returncode or done.stdout != printed:
                faults.append(f"program {number}: exit {done.returncode}\n{done.stdout}{done.stderr}")


# The headers with the numbers of bide(7).
HEADERS = ("admin/backup.h", "live/cell.h", "live/layout.h", "live/process.h", "policy/policy.h",
           "store/history/history_form.h", "store/policies/record.h", "store/queue/record.h")


def check_numbers():
    """Compares each number of bide(7) with the expression in the comment before it:
    `.\\" number: CELL_MAX`, or `format:`, where it follows the name of a file."""
    with open(os.path.join(TOP, "cli/man/bide.7"), encoding="utf-8") as file:
        page = file.read()
    found = re.findall(r'^\.\\" (?:number|format): (.+)\n(?:\.TP\n)?\.BR? (?:[a-z ]+ )?([\d,]+)', page, re.M)
    if len(found) != len(re.findall(r'^\.\\" (?:number|format):', page, re.M)) or len(found) < 15:
        faults.append(f"bide.7: only {len(found)} numbers are where their comments say")
    lines = [f'#include "{name}"' for name in HEADERS]
    lines += ["#include <stdio.h>", "int main(void) {"]
    lines += [f'printf("%llu\\n", (unsigned long long)({expression}));' for expression, _ in found]
    with tempfile.TemporaryDirectory() as work:
        done = run(COMPILER, "-x", "c", "-D_GNU_SOURCE", "-I", INCLUDE, "-I", os.path.join(TOP, "lib"), "-",
                   "-o", os.path.join(work, "numbers"), input="\n".join(lines) + "return 0; }\n")
        if done.returncode:
            faults.append("bide.7: " + done.stderr)
            return
        values = run(os.path.join(work, "numbers")).stdout.split()
    for (expression, number), value in zip(found, values):
        if number.replace(",", "") != value:
            faults.append(f"bide.7 has {number} where {expression} is {value}")


def check_format(page):
    """Formats a page for a terminal, and expects no warning and no wide line."""
    name = os.path.basename(page)
    if shutil.which("man"):
        done = run("man", "-l", "--warnings", page,
                   env=dict(os.environ, MANWIDTH=str(COLUMNS), LC_ALL="C.UTF-8"))
        if done.returncode or done.stderr:
            faults.append(f"man: {name}: {done.stderr}")
        for line in done.stdout.splitlines():
            if len(line) > COLUMNS:
                faults.append(f"man: {name}: {len(line)} columns: {line}")
    if shutil.which("mandoc"):
        done = run("mandoc", "-T", "lint", page)
        faults.extend(done.stdout.splitlines() + done.stderr.splitlines())


def main():
    with open(PAGE, encoding="utf-8") as file:
        page = file.read()
    check_generated(page)
    check_functions(page)
    check_types(page)
    check_programs(page)
    check_numbers()
    pages = sorted(glob.glob(os.path.join(TOP, "cli/man/bide.[0-9]")))
    for path in pages:
        check_format(path)
    if len(pages) < 4:
        faults.append(f"only {len(pages)} manual pages")
    skipped = [name for name in ("man-db", "mandoc") if not shutil.which(name.partition("-")[0])]
    for text in faults:
        print(text)
    for number, what in enumerate(skipped, 1):  # tests/run lists such lines
        print(f"ok {number} the manual pages have no warnings # skip needs {what}")
    print(f"manual: {len(faults)} faults")
    return bool(faults)


sys.exit(main())
