"""`pip install ./lib/python`, without a network and without other packages."""
import os
import subprocess
import sys
import tempfile
import unittest

import fixture

TOP, BUILD = os.environ["TOP"], os.environ["BUILD"]


class Install(unittest.TestCase):
    def pip(self, target, **environment):
        """Installs into a folder of its own."""
        kept = {name: value for name, value in os.environ.items()
                if name not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "BIDE_BUILD")}
        return subprocess.run([sys.executable, "-m", "pip", "install", "--no-index", "--no-cache-dir",
                               "--disable-pip-version-check", "--target", target,
                               os.path.join(TOP, "lib/python")], text=True, check=False,
                              env={**kept, **environment}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)

    def setUp(self):
        if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True,
                          check=False).returncode:
            self.skipTest("needs python3-pip")
        if subprocess.run(["cc", "--version"], capture_output=True, check=False).returncode:
            self.skipTest("needs cc")
        folder = tempfile.TemporaryDirectory(prefix="bide-pip-")
        self.addCleanup(folder.cleanup)
        self.target = os.path.join(folder.name, "target")

    def test_a_checkout_can_be_installed(self):
        done = self.pip(self.target, BIDE_BUILD=BUILD)
        self.assertEqual(done.returncode, 0, done.stdout)
        shown = subprocess.run(
            [sys.executable, "-c", "import bide, importlib.metadata as m; print(bide.__file__, "
             "m.version('bide') == bide.__version__, bide.policy('x')(lambda: 'fine')())"],
            env={**os.environ, "PYTHONPATH": self.target}, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(shown.stdout.split(), [f"{self.target}/bide/__init__.py", "True", "fine"])
        self.assertTrue(os.path.exists(f"{self.target}/bide/py.typed"))

    def test_a_missing_library_is_one_clear_line(self):
        done = self.pip(self.target, BIDE_BUILD=self.target)
        self.assertEqual(done.returncode, 1)
        self.assertIn("bide: libbide is missing: install libbide-dev, or run", done.stdout)


if __name__ == "__main__":
    fixture.main()
