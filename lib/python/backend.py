"""The build backend of pip (PEP 517): compiles the extension and writes the wheel.

It needs no packages of PyPI, so that `pip install ./lib/python` works without a
network.  It takes libbide from the build directory in $BIDE_BUILD, else from
pkg-config, else from a build directory of the checkout (build, build/*)."""
import base64
import glob
import hashlib
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
SUMMARY = "named retry policies that an operator changes while programs run"


def find_library():
    """Returns the flags of the compiler for libbide."""
    wanted = os.environ.get("BIDE_BUILD")
    if not wanted:
        try:
            done = subprocess.run(["pkg-config", "--cflags", "--libs", "bide"], text=True,
                                  capture_output=True, check=False)
            if done.returncode == 0:
                return shlex.split(done.stdout)
        except OSError:
            pass
    for folder in [wanted] if wanted else [f"{TOP}/build", *sorted(glob.glob(f"{TOP}/build/*"))]:
        if os.path.exists(os.path.join(folder, "libbide.so")):
            folder = os.path.abspath(folder)
            return [f"-I{TOP}/include", f"-L{folder}", "-lbide", f"-Wl,-rpath,{folder}"]
    sys.exit("bide: libbide is missing: install libbide-dev, or run "
             "`cmake -S . -B build && cmake --build build` in the checkout")


def compile_extension(target):
    """Compiles the extension."""
    include = sysconfig.get_path("include")
    if not os.path.exists(os.path.join(include, "Python.h")):
        sys.exit(f"bide: Python.h is missing in {include}: install python3-dev")
    sources = sorted(glob.glob(os.path.join(HERE, "native", "*.c")))
    compiler = shlex.split(os.environ.get("CC") or "cc")
    done = subprocess.run([*compiler, "-std=gnu11", "-O2", "-fPIC", "-fvisibility=hidden", "-shared",
                           "-D_GNU_SOURCE", f"-I{include}", *sources, *find_library(), "-ldl", "-o",
                           target], check=False)
    if done.returncode:
        sys.exit("bide: the extension cannot be compiled: see above")


def version():
    """Returns the version of the package."""
    with open(os.path.join(TOP, "include", "bide.h"), encoding="utf-8") as file:
        return re.search(r'#define BIDE_VERSION "([^"]+)"', file.read()).group(1)


def metadata():
    """Returns the text of METADATA."""
    return (f"Metadata-Version: 2.1\nName: bide\nVersion: {version()}\nSummary: {SUMMARY}\n"
            "License: MIT\nRequires-Python: >=3.9\n")


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Writes the wheel; returns its name."""
    del config_settings, metadata_directory
    tag = "cp39-abi3-" + re.sub(r"[-.]", "_", sysconfig.get_platform())
    info = f"bide-{version()}.dist-info"
    name = f"bide-{version()}-{tag}.whl"
    members = {f"bide/{os.path.basename(path)}": path
               for pattern in ("*.py", "*.pyi", "py.typed")
               for path in sorted(glob.glob(os.path.join(HERE, "bide", pattern)))}
    with tempfile.TemporaryDirectory() as work:
        members["bide/_bide.abi3.so"] = os.path.join(work, "_bide.abi3.so")
        compile_extension(members["bide/_bide.abi3.so"])
        texts = {f"{info}/METADATA": metadata(),
                 f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: bide\nRoot-Is-Purelib: false\n"
                                  f"Tag: {tag}\n"}
        contents = {member: text.encode() for member, text in texts.items()}
        for member, path in members.items():
            with open(path, "rb") as file:
                contents[member] = file.read()
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w", zipfile.ZIP_DEFLATED) as wheel:
        record = ""
        for member, data in contents.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record += f"{member},sha256={digest},{len(data)}\n"
            wheel.writestr(member, data)
        wheel.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return name


def build_sdist(sdist_directory, config_settings=None):
    """Is not supported: the package is built in a checkout, beside include/."""
    del sdist_directory, config_settings
    sys.exit("bide: install from a checkout: pip install ./lib/python")
