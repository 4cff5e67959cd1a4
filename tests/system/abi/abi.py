#!/usr/bin/env python3
"""Compares the ABI of libbide.so with that of the last package and that of the last
release, using abidiff.
Arguments: the top of the tree, libbide.so, the version of the project, the compiler.

The ABI of the last package is libbide-X.Y.abi, beside this file: X.Y for version
0.Y, X for later ones.  A package that adds functions or fields renews it, as does
the first one of another X.Y, and any change until 0.1.0 is released:
  python3 tests/system/abi/abi.py . build/libbide.so 0.1.0 cc --renew

A release makes its baseline by its tag, vX.Y.Z: nothing else has to be stored.  From
a header the test makes a library of empty functions, which has the types that
programs see; this takes a moment.  It compares the library of the tag's header with
that of the present one.  The tag is the newest one before HEAD that find_package
would accept: of the same minor version before 1.0, of the same major version later.

What may change:
  - A function may be added, and an enumerator with a new number.
  - A field may be added at the end of a struct of which the library knows how much
    the program has: in each function that takes it, a parameter `size_t size`
    follows it.  The same holds for a struct that only the library allocates:
    functions return it, and callbacks get it, as `const struct bide_x *`.
Any other difference is a fault.  In 0.x the next minor version may have it; from 1.0
on the function gets another name, and the old one stays.

The test also makes such changes to a sample and expects the right answer to each,
and expects that libbide.so does not differ from the library of its header."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import api

TOP, SHARED, VERSION, COMPILER = sys.argv[1:5]
FILES = ("include/bide.h", "include/bide_outcome.h", "lib/bide.map", "lib/CMakeLists.txt")
SAMPLE = """
enum bide_colour { BIDE_RED = 0, BIDE_BLUE = 1 };
struct bide_fixed { int first; enum bide_colour colour; };
struct bide_sized { int first; long last; };
struct bide_kept { long first; int last; };
struct bide_both { int first; long both; };
typedef int bide_hear_fn(const struct bide_kept *kept, void *arg);
BIDE_API int bide_by_value(struct bide_fixed fixed);
BIDE_API int bide_with_size(struct bide_sized *out, size_t size);
BIDE_API const struct bide_kept *bide_returned(bide_hear_fn *fn, void *arg);
BIDE_API const struct bide_both *bide_returned_too(void);
BIDE_API int bide_copied(struct bide_both *out);
"""
CHANGES = (  # what, text of the sample, what replaces it, is it compatible
    ("nothing", "", "", True),
    ("a new function", "BIDE_API int bide_by", "BIDE_API int bide_new(int);\n\\g<0>", True),
    ("a new enumerator", "BLUE = 1", "\\g<0>, BIDE_GREEN = 2", True),
    ("a new field after the last one, with a size", "int first; long last;", "\\g<0> int more;", True),
    ("a new field after the last one, returned", "long first; int last;", "\\g<0> long more;", True),
    ("a new field after the last one, by value", "colour;", "\\g<0> int more;", False),
    ("a new field after the last one, copied", "long both;", "\\g<0> int more;", False),
    ("a new field between two, with a size", "int first; long last;", "int first; int more; long last;", False),
    ("a field with another type, with a size", "int first; long last;", "long first; long last; int more;", False),
    ("a removed field, returned", "long first; int last;", "long first;", False),
    ("a removed function", "BIDE_API.*by_value.*\n", "", False),
    ("another number", "BLUE = 1", "BLUE = 2", False),
    ("a removed enumerator", ", BIDE_BLUE = 1", "", False),
    ("a parameter of another type", "size_t size", "int size", False),
    ("a removed parameter", ", size_t size", "", False),
    ("another result", "int bide_by_value", "long bide_by_value", False),
    ("another callback", "kept, void", "kept, int more, void", False),
)
faults = []


def fault(what):
    faults.append(what)


def count_fields(declaration):
    while "(" in declaration:  # of pointers to functions
        declaration = re.sub(r"\([^()]*\)", "", declaration)
    return 1 + declaration.count(",")


class Reference:
    """The ABI of the last package, as abidw wrote it."""
    text = ""

    def __init__(self, path, present):
        self.path, self.present = path, present

    def build(self, _name, _text):
        return self.path

    def may_grow(self, _name):
        return True

    def fields(self):
        """Returns the fields of each struct bide_x of `present` that the package has:
        a declaration of the header may have several."""
        found = {}
        present = self.present.fields()
        for struct in xml.etree.ElementTree.parse(self.path).iter("class-decl"):
            left = len(struct.findall("data-member"))
            known = found.setdefault(struct.get("name"), [])
            for declaration in present.get(struct.get("name"), []):
                left -= count_fields(declaration)
                if left >= 0:
                    known.append(declaration)
        return {name: known for name, known in found.items() if known}


class Interface:
    """What programs see of a version: the text of each of FILES, and lines that are
    added to the header."""

    def __init__(self, folder, texts, more=""):
        header, outcome, script, cmake = texts
        path = os.path.join(folder, "header.h")
        for name, text in ((path, header + more), (os.path.join(folder, "bide_outcome.h"), outcome)):
            with open(name, "w", encoding="utf-8") as file:
                file.write(text)
        self.folder = folder
        self.text = api.preprocessed(path, COMPILER)
        self.node = re.search(r"^(\S+) \{", script, re.M).group(1)
        self.soname = "libbide.so." + re.search(r"\bSOVERSION (\d+)", cmake).group(1)

    def build(self, name, text):
        """Makes a library of empty functions and returns its path."""
        path = os.path.join(self.folder, name)
        functions = api.functions(text)
        with open(path + ".c", "w", encoding="utf-8") as file:
            file.write(text)
            for declaration in functions.values():
                file.write(declaration + "\n{\n    __builtin_trap();\n}\n")
        with open(path + ".map", "w", encoding="utf-8") as file:
            file.write(f"{self.node} {{ global: {'; '.join(functions)}; local: *; }};\n")
        subprocess.run([COMPILER, "-std=gnu2x", "-g", "-w", "-shared", "-fPIC", "-nostdlib",
                        path + ".c", "-o", path + ".so", f"-Wl,--version-script={path}.map",
                        f"-Wl,-soname,{self.soname}"], check=True)
        return path + ".so"

    def fields(self):
        """Returns the fields of each struct bide_x, by name."""
        found = re.findall(r"\bstruct (bide_\w+)\s*\{([^{}]*)\}", self.text)
        return {name: body.split(";")[:-1] for name, body in found}

    def may_grow(self, name):
        struct = rf"\bstruct {name}\b"
        for statement in re.split(r"[;{}]", re.sub(r"\s+", " ", self.text)):
            uses = len(re.findall(struct, statement))
            if statement.strip().startswith("typedef") or "(*" in statement:
                allowed = rf"\bconst {struct} \*"
            else:
                allowed = (rf"{struct} \* ?\w+, size_t size\b|\bconst {struct} \* ?bide_\w+ ?\("
                           rf"|^ ?struct {name} ?$")
            if uses != len(re.findall(allowed, statement)):
                return False
        return True


def difference(old, new):
    """Returns what differs for programs that were built with `old`; "" if nothing.  The
    new fields of structs that may grow are removed before the comparison."""
    text = new.text
    fields = new.fields()
    for name, known in old.fields().items():
        if name in fields and new.may_grow(name) and old.may_grow(name):
            body = ";".join(fields[name][:len(known)]) + ";"
            text = re.sub(rf"(\bstruct {name}\s*\{{)[^{{}}]*\}}", rf"\g<1>{body}}}", text)
    return abidiff(old.build("old", old.text), new.build("new", text))


def abidiff(old, new):
    done = subprocess.run(["abidiff", "--no-added-syms", old, new], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout if done.returncode else ""


def git(top, *argv):
    done = subprocess.run(["git", "-C", top, *argv], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def kept_with(version):
    """Returns the part of a version that the versions of one ABI have in common."""
    numbers = [int(n) for n in version.lstrip("v").split(".")]
    return numbers[:2] if numbers[0] == 0 else numbers[:1]


def baseline(top, version):
    """Returns the tag of the newest release with the ABI of `version`, or None."""
    tags = git(top, "tag", "--list", "--merged", "HEAD", "--sort=-version:refname").split()
    for tag in tags:
        if re.fullmatch(r"v\d+\.\d+\.\d+", tag) and kept_with(tag) == kept_with(version):
            return tag
    return None


def check_sample(folder, texts):
    old = Interface(folder, texts, SAMPLE)
    for what, pattern, text, compatible in CHANGES:
        changed = re.sub(pattern, text, SAMPLE, count=1)
        if pattern and changed == SAMPLE:
            fault(f"{what}: not in the sample")
        found = difference(old, Interface(folder, texts, changed))
        if compatible and found:
            fault(f"{what}: compatible, and refused:\n{found}")
        if not compatible and not found:
            fault(f"{what}: not compatible, and not noticed")


def check_baseline(folder):
    repository = os.path.join(folder, "repository")
    os.mkdir(repository)
    commit = ("-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "--allow-empty", "-m", "x")
    git(repository, "init", "-q")
    for tag in ("v0.1.9", "v0.1.10", "v0.2.0", "v0.2.1-rc1", "v1.0.0", "v1.1.0"):
        git(repository, *commit)
        git(repository, "tag", tag)
    git(repository, "checkout", "-q", "v1.0.0")
    for version, expected in (("0.1.11", "v0.1.10"), ("0.2.1", "v0.2.0"), ("0.3.0", None),
                              ("1.2.0", "v1.0.0"), ("2.0.0", None)):
        if baseline(repository, version) != expected:
            fault(f"the baseline of {version} is {baseline(repository, version)}, not {expected}")


def reference_path(version):
    name = ".".join(map(str, kept_with(version)))
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), f"libbide-{name}.abi")


def renew(present):
    with open(reference_path(VERSION), "w", encoding="utf-8") as file:
        subprocess.run(["abidw", "--no-show-locs", "--no-comp-dir-path", "--no-corpus-path",
                        present.build("present", present.text)], check=True, stdout=file)


def check_reference(folder, texts):
    """Compares with the last package; changes of the real header must be judged so too."""
    path = reference_path(VERSION)
    if not os.path.exists(path):
        fault(f"{os.path.basename(path)} is missing: see the top of this file")
        return
    for what, pattern, text, compatible in (
            ("the present header", "", "", True),
            ("a removed function", r"BIDE_API const char \*bide_version\(void\);", "", False),
            ("a new field in the middle", r"(struct bide_options \{\n[^;]*;)", r"\1\nint more;", False),
            ("a new field at the end", r"(struct bide_options \{\n.*?)(?=\n\};)", r"\1\nint more;", True)):
        header = re.sub(pattern, text, texts[0], count=1, flags=re.S) if pattern else texts[0]
        if pattern and header == texts[0]:
            fault(f"{what}: not in bide.h")
        present = Interface(folder, [header] + texts[1:])
        found = difference(Reference(path, present), present)
        if bool(found) == compatible:
            fault(f"{what}, compared with {os.path.basename(path)}: " + (found or "not noticed"))


def check_release(folder, present):
    if not git(TOP, "rev-parse", "HEAD"):
        print("git cannot read the history of this tree: compared with no release")
        return
    tag = baseline(TOP, VERSION)
    if tag is None:
        print(f"no release has the ABI of {VERSION} yet")
        return
    found = difference(Interface(folder, [git(TOP, "show", f"{tag}:{name}") for name in FILES]), present)
    if found:
        fault(f"the ABI differs from that of {tag}:\n{found}")
    print(f"compared with {tag}")


def main():
    texts = []
    for name in FILES:
        with open(os.path.join(TOP, name), encoding="utf-8") as file:
            texts.append(file.read())
    with tempfile.TemporaryDirectory() as folder:
        present = Interface(folder, texts)
        if sys.argv[5:] == ["--renew"]:
            renew(present)
            return
        sections = subprocess.run(["readelf", "-SW", SHARED], capture_output=True, text=True, check=True)
        if ".debug_info" not in sections.stdout:
            fault("libbide.so has no debug information, without which abidiff finds no difference")
        found = abidiff(present.build("present", present.text), SHARED)
        if found:
            fault(f"libbide.so differs from its header:\n{found}")
        check_sample(folder, texts)
        check_baseline(folder)
        check_reference(folder, texts)
        check_release(folder, present)


if shutil.which("abidiff") is None:
    print("ok 1 the ABI of the last release # skip needs the package abigail-tools")
    sys.exit(77)
main()
for text in faults:
    print(text)
print(f"abi: {len(faults)} faults")
sys.exit(bool(faults))
