#!/usr/bin/env python3
"""A program of an older header runs with a library whose structures have more
fields, and a program of that header with the older library.  argv: the top of the
tree, the directory of the build (its libbide.so, its command)."""
import os
import re
import sys
import tempfile

from another import build, copy_tree, must

TOP, BUILD = (os.path.abspath(path) for path in sys.argv[1:3])
# The structures of bide.h that may grow, and those of bide_outcome.h.
GROWING = ("bide_options", "bide_attempt", "bide_deferred", "bide_stats", "bide_hooks", "bide_result")
POLICY = """[shop]
attempts = 5
wait = none
attempt_timeout = 30s
importance = postponable
"""


def grow(folder):
    """Adds four fields at the end of each of these structures."""
    grown = set()
    for name in ("bide.h", "bide_outcome.h"):
        path = os.path.join(folder, "include", name)
        with open(path) as file:
            text = file.read()
        for struct in GROWING:
            text, times = re.subn(r"(\nstruct %s \{\n.*?)\n\};" % struct,
                                  r"\1\n    uint64_t grown[4];\n};", text, count=1, flags=re.S)
            if times:
                grown.add(struct)
        with open(path, "w") as file:
            file.write(text)
    if grown != set(GROWING):
        sys.exit(f"grown: not found in the headers: {sorted(set(GROWING) - grown)}")


def main():
    with tempfile.TemporaryDirectory(prefix="bide-grown-") as folder:
        tree = copy_tree(TOP, folder)
        grow(tree)
        libraries = {"first": BUILD, "grown": build(tree, "bide")}
        programs = {}
        for name, top, define in (("first", TOP, []), ("grown", tree, ["-DBIDE_GROWN"])):
            programs[name] = os.path.join(folder, name)
            must("cc", "-std=c11", "-D_GNU_SOURCE", *define, "-I" + os.path.join(top, "include"),
                 os.path.join(TOP, "tests/system/abi/program/grown.c"), "-o", programs[name],
                 os.path.join(libraries[name], "libbide.so"))
        bide = os.path.join(BUILD, "bide")
        registry = os.path.join(folder, "registry")
        must(bide, "--dir", registry, "init", "--live", os.path.join(folder, "live", "live"))
        must(bide, "--dir", registry, "apply", "-", input=POLICY)
        for program, path in programs.items():
            for library, where in libraries.items():
                print(f"{program} program,", must(path, registry, library, env=dict(os.environ, LD_LIBRARY_PATH=where)),
                      end="")


if __name__ == "__main__":
    main()
