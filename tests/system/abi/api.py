"""Reads the functions that include/bide.h declares, and the symbols that
lib/bide.map exports."""
import re
import subprocess


def preprocessed(header, compiler):
    return subprocess.run([compiler, "-E", "-P", "-x", "c", header],
                          capture_output=True, text=True, check=True).stdout


def functions(text):
    """Returns the declaration of each function that a preprocessed header declares
    and does not define, by name: from its first word to the end of its parameters."""
    blocks = 1
    while blocks:
        text, blocks = re.subn(r"\{[^{}]*\}", ";", text)
    found = {}
    for statement in text.split(";"):
        name = re.search(r"\b(bide_\w+)\s*\(", statement)
        if not name or statement.split()[0] in ("typedef", "static"):
            continue
        depth, end = 1, name.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(statement[end], 0)
            end += 1
        found[name.group(1)] = statement[:end].strip()
    return found


def exported(script):
    """Returns the global symbols of a version script of one node."""
    with open(script, encoding="utf-8") as file:
        listed = re.search(r"\bglobal:(.*?)\blocal:", file.read(), re.S).group(1)
    return set(re.findall(r"[^\s;]+", listed))
