#!/usr/bin/env python3
"""Runs the examples of README.md: each `$ ` line of its console blocks, in order,
in one scratch directory.  A line ends with `# exit N` if it must exit with N
instead of 0.  The lines below a command must be in its output.  Each C program is
compiled against the build; the command below it has its last line of output.

argv: README.md, the directory of the built command and library, include/, and
the sanitizers the library was built with."""
import os
import re
import shlex
import subprocess
import sys
import tempfile

readme, build, include = map(os.path.abspath, sys.argv[1:4])
text = open(readme, encoding="utf-8").read()
failed, ran = 0, 0


def report_failure(what):
    global failed
    failed += 1
    print("FAILED", what)


def commands(block):
    """Returns pairs of a command (with its here-document) and the lines below it."""
    lines, found = block.splitlines(), []
    while lines:
        line = lines.pop(0)
        if line.startswith("$ "):
            command = line[2:]
            here = re.search(r"<<'(\w+)'", command)
            while here and lines:
                command += "\n" + lines.pop(0)
                if command.endswith("\n" + here.group(1)):
                    break
            found.append((command, []))
        elif found and line.strip():
            found[-1][1].append(line)
    return found


with tempfile.TemporaryDirectory() as work:
    environment = dict(os.environ, PATH=build + ":" + os.environ["PATH"], LC_ALL="C.UTF-8",
                       BIDE_DIR=os.path.join(work, "registry"), LD_LIBRARY_PATH=build, COLUMNS="80")

    def run(command):
        return subprocess.run(["bash", "-c", command], cwd=work, env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    programs = re.findall(r"```c\n(.*?)```\n\n    cc (\w+\.c) [^\n]*# (.*?)\n", text, re.S)
    if len(programs) != text.count("```c\n"):
        report_failure("a C program without its command")
    flags = f"-fsanitize={sys.argv[4]}" if sys.argv[4:] and sys.argv[4] else ""
    for number, block in enumerate(re.findall(r"```console\n(.*?)```", text, re.S)):
        for command, shown in commands(block):
            wanted = re.search(r"# exit (\d+)", command)
            done = run(command)
            ran += 1
            if done.returncode != int(wanted.group(1) if wanted else 0):
                report_failure(f"{command}: exit {done.returncode}\n{done.stdout}")
            for line in shown:
                if line.rstrip() not in [x.rstrip() for x in done.stdout.splitlines()]:
                    report_failure(f"{command}: does not print: {line}\n{done.stdout}")
        if number == 0:  # the policy exists now, so the programs can use it
            for program, name, printed in programs:
                with open(os.path.join(work, name), "w", encoding="utf-8") as file:
                    file.write(program)
                done = run(f"cc -Wall -Wextra -Werror {flags} -I{shlex.quote(include)} {name} "
                           f"-L{shlex.quote(build)} -lbide && ./a.out")
                ran += 1
                if done.returncode or done.stdout.splitlines()[-1:] != [printed]:
                    report_failure(f"{name}\n{done.stdout}")
print(f"readme: {ran - failed} passed, {failed} failed")
sys.exit(1 if failed or not ran else 0)
