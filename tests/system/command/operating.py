#!/usr/bin/env python3
"""Runs the commands of the manual page bide(7), in their order, as root in a file
system of their own: an overlay of the host's, in which users, groups and
directories can be made.  Afterwards the rights are those of its table.

argv: the command bide, and the top of the tree."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

BIDE, TOP = map(os.path.abspath, sys.argv[1:3])
NAMES = "bide|bide-ops|shop|alice|bob"
INSIDE = rf"""
set -eu
work=$1
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/temporary" "$work/root"
mount -t overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/temporary" overlay "$work/root" ||
    exit 77
cd "$work/root"
rm -rf var/lib/bide
sed -Ei '/^({NAMES}):/d' etc/passwd etc/group etc/shadow etc/gshadow
for directory in run dev tmp; do
    mount -t tmpfs -o mode=755 tmpfs "$directory"
done
mount -t proc proc proc
mkdir -m 1777 dev/shm
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/urandom c 1 9
cp "$2" usr/local/bin/bide
chmod 755 usr/local/bin/bide
cat >root/commands
exec chroot . env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    bash -exc 'cd /tmp; . /root/commands'
"""


def skip(why):
    print(f"ok 1 the commands of bide(7) # skip {why}")
    sys.exit(0)


def blocks():
    with open(os.path.join(TOP, "cli/man/bide.7"), encoding="utf-8") as file:
        page = file.read().partition('.SH "MOVING FROM OTHER RULES"')[0]
    found = re.findall(r"^\.nf\n(.*?)\n\.fi$", page, re.S | re.M)
    return [text.replace("\\-", "-").replace("\\(dq", '"').replace("\\e", "\\") for text in found]


def main():
    if os.getuid() != 0:
        skip("needs root")
    if not shutil.which("runuser") or not shutil.which("useradd"):
        skip("needs runuser and useradd")
    commands = [text for text in blocks() if not text.startswith("/")]
    rights = [line.split() for text in blocks() if text.startswith("/") for line in text.splitlines()]
    # Exit status 1: the user may not do all of it.
    commands = [re.sub(r"(?m)^bide doctor --as .*", r"\g<0> || test $? = 1", text) for text in commands]
    looks = [f'test "$(stat -c %U:%G,%a {path})" = {owner},{mode.lstrip("0")}' for path, owner, mode in rights]
    if len(commands) < 8 or len(rights) < 5:
        sys.exit(f"operating: {len(commands)} examples, {len(rights)} rows of rights")
    with tempfile.TemporaryDirectory(prefix="bide-operating-") as work:
        done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", INSIDE, "inside", work, BIDE],
                              input="\n".join(commands + looks) + "\n", text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode == 77:
        skip("needs an overlay file system")
    if done.returncode:
        print(done.stdout)
        sys.exit(f"operating: exit status {done.returncode}")
    print(f"operating: {sum(text.count(chr(10)) + 1 for text in commands)} commands ran")


main()
