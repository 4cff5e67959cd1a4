#!/usr/bin/env python3
"""Asks the compiler which headers each room can include: only public headers of
other rooms, and never those of a room that can include its own.

argv: the top of the tree, the build directory, the compiler."""
import glob
import os
import subprocess
import sys
import tempfile

top, build = map(os.path.abspath, sys.argv[1:3])
compiler = sys.argv[3]
headers = [os.path.relpath(h, top) for base in ("lib", "cli")
           for h in glob.glob(f"{top}/{base}/**/*.h", recursive=True)]
faults, sees, public = [], {}, set()

rooms = {}  # folder below lib/, or cli/...: its include path
for path in glob.glob(f"{build}/rooms/*.room"):
    folder, *include = open(path, encoding="utf-8").read().split("\n")
    rooms[folder] = [i for i in include if i]


def named(header):
    """Returns the folder of a header, and its name in an #include of another room."""
    name = header[len("lib/"):] if header.startswith("lib/") else header
    return os.path.dirname(name), name


for folder in rooms:
    here = f"{build}/rooms/{folder.replace('/', '_')}"
    public |= {os.path.relpath(h, here) for h in glob.glob(f"{here}/**/*.h", recursive=True)}

for folder, include in rooms.items():
    text = "".join(f'#if __has_include("{named(h)[1]}")\nCAN {named(h)[1]}\n#endif\n'
                   f'#if __has_include("{os.path.basename(h)}")\nBARE {h}\n#endif\n' for h in headers)
    with tempfile.TemporaryDirectory() as empty:  # quotes look here first
        shown = subprocess.run([compiler, "-E", "-P", "-nostdinc", "-x", "c", *[f"-I{i}" for i in include], "-"],
                               cwd=empty, input=text, text=True, stdout=subprocess.PIPE, check=True).stdout
    found = {line[4:] for line in shown.splitlines() if line.startswith("CAN ")}
    sees[folder] = {os.path.dirname(name) for name in found} - {folder}
    for name in sorted(found - public):
        faults.append(f"{folder} can include {name}, which is private")
    for line in shown.splitlines():
        if line.startswith("BARE ") and named(line[5:])[0] != folder:
            faults.append(f"{folder} can include {line[5:]} by its bare name")

for folder in sorted(rooms):
    for other in sorted(sees[folder]):
        if folder in sees.get(other, ()):
            faults.append(f"{folder} and {other} can include each other")
    if folder.startswith(("admin", "doctor", "fleet", "simulate", "cli/")):
        continue
    for other in sorted(sees[folder]):
        if other.startswith(("admin", "doctor", "fleet", "simulate", "cli/")):
            faults.append(f"{folder}, which services load, can include {other}")
if len(rooms) < 20:
    faults.append(f"only {len(rooms)} rooms")
print("\n".join(faults))
print(f"rooms: {len(rooms)} rooms, {len(headers)} headers, {len(faults)} faults")
sys.exit(1 if faults else 0)
