"""Another bide, which is built from a changed copy of the tree."""
import os
import shutil
import subprocess
import sys

PARTS = ("include", "lib", "cli", "policies", "tests/examples", "CMakeLists.txt")


def must(*argv, **options):
    """Runs a command that has to succeed; returns what it prints."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode:
        sys.exit(f"{os.path.basename(sys.argv[0])}: {' '.join(argv)}\n{done.stdout}")
    return done.stdout


def copy_tree(top, folder):
    """Returns a copy in the folder of what a build without tests needs."""
    tree = os.path.join(folder, "tree")
    os.mkdir(tree)
    for name in PARTS:
        source = os.path.join(top, name)
        if os.path.isdir(source):
            shutil.copytree(source, os.path.join(tree, name))
        else:
            shutil.copy(source, tree)
    return tree


def build(tree, *targets):
    """Builds the targets of a copy; returns the directory of the build."""
    folder = os.path.join(tree, "build")
    must("cmake", "-S", tree, "-B", folder, "-DBIDE_TESTS=OFF", "-DCMAKE_BUILD_TYPE=Debug")
    must("cmake", "--build", folder, "-j2", "--target", *targets)
    return folder
