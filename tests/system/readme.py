#!/usr/bin/env python3
"""Runs the examples of README.md: each `$ ` line of its console blocks, in order,
in one scratch directory.  A line ends with `# exit N` if it must exit with N
instead of 0.  The lines below a command must be in its output.  Each C or C++
program is compiled against the build; the command below it has its last line of
output.  A URL in that command is one of a local server, which refuses twice.
Programs of Python are those of tests/examples, and print that line as well.
Policies are valid.

argv: README.md, the directory of the built command and library, include/, and
the sanitizers the library was built with."""
import atexit
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

readme, build, include = map(os.path.abspath, sys.argv[1:4])
text = open(readme, encoding="utf-8").read()
failed, ran = 0, 0
servers = []
HERE = os.path.dirname(os.path.abspath(__file__))


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

    def server():
        """Starts the local server once.  Returns its address."""
        port = os.path.join(work, "port")
        if not servers:
            servers.append(subprocess.Popen([sys.executable, os.path.join(HERE, "adapters/server.py"), port]))
            atexit.register(servers[0].kill)
        while not os.path.exists(port):
            time.sleep(0.02)
        with open(port, encoding="utf-8") as file:
            return f"http://127.0.0.1:{file.read()}/flaky/2"

    def run_program(program, compiler, name, modules, url, printed):
        global ran
        if shutil.which(compiler) is None or (modules and run(f"pkg-config --exists {modules}").returncode):
            print(f"ok {ran} {name} of README.md # skip needs {modules or compiler}")
            return
        if (modules or name.endswith(".cc")) and program.count("\n") >= 25:
            report_failure(f"{name} has {program.count(chr(10))} lines, not under 25")
        with open(os.path.join(work, name), "w", encoding="utf-8") as file:
            file.write(program)
        libraries = f"$(pkg-config --cflags --libs {modules})" if modules else ""
        done = run(f"{compiler} -Wall -Wextra -Werror {flags} -I{shlex.quote(include)} {name} "
                   f"-L{shlex.quote(build)} -lbide {libraries} && ./a.out {server() if url else ''}")
        ran += 1
        if done.returncode or done.stdout.splitlines()[-1:] != [printed]:
            report_failure(f"{name}\n{done.stdout}")

    def run_script(script, name, printed):
        """Runs a program of Python, which is in tests/examples as well."""
        global ran
        if not os.path.exists(os.path.join(build, "python/bide/_bide.abi3.so")):
            print(f"ok {ran} {name} of README.md # skip needs python3-dev, no sanitizer")
            return
        path = os.path.join(os.path.dirname(readme), "tests/examples", name)
        with open(path, encoding="utf-8") as file:
            if file.read() != script or script.count("\n") >= 25:
                report_failure(f"{name} is not {path}, or has 25 lines")
        done = run(f"PYTHONPATH={shlex.quote(build)}/python {shlex.quote(sys.executable)} -B {shlex.quote(path)}")
        ran += 1
        if done.returncode or done.stdout.splitlines()[-1:] != [printed]:
            report_failure(f"{name}\n{done.stdout}")

    programs = re.findall(r"```(?:c|cpp)\n(.*?)```\n\n    (cc|c\+\+) (\w+\.cc?) \$\(pkg-config --cflags --libs bide ?(.*?)\)"
                          r" && \./a\.out ?(\S*) +# (.*?)\n", text, re.S)
    if len(programs) != text.count("```c\n") + text.count("```cpp\n"):
        report_failure("a program without its command")
    scripts = re.findall(r"```python\n(.*?)```\n\n    python3 (\w+\.py) +# (.*?)\n", text, re.S)
    if len(scripts) != text.count("```python\n"):
        report_failure("a program of Python without its command")
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
            for program in programs:
                run_program(*program)
            for script in scripts:
                run_script(*script)
    for block in re.findall(r"```ini\n(.*?)```", text, re.S):
        with open(os.path.join(work, "policies.ini"), "w", encoding="utf-8") as file:
            file.write(block)
        done = run("bide validate policies.ini")
        ran += 1
        if done.returncode or "warning" in done.stdout:
            report_failure(done.stdout)
print(f"readme: {ran - failed} passed, {failed} failed")
sys.exit(1 if failed or not ran else 0)
