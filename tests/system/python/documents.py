"""The programs of bide(7), PYTHON, in their order."""
import contextlib
import io
import os
import re
import unittest

import bide
import fixture

RULES = "[payments]\nimportance = postponable\nattempts = 3\nwait = none\nretry_on = transient\n"


def programs():
    """Returns the programs of the section, as a reader sees them."""
    with open(os.path.join(os.environ["TOP"], "cli/man/bide.7"), encoding="utf-8") as file:
        page = file.read().partition("\n.SH PYTHON\n")[2].partition("\n.SH ")[0]
    for text in re.findall(r"^\.nf\n(.*?)^\.fi\n", page, re.M | re.S):
        for escaped, character in ((r"\(dq", '"'), (r"\-", "-"), (r"\e", "\\")):
            text = text.replace(escaped, character)
        yield text


class Manual(fixture.RegistryCase):
    rules = RULES

    def test_the_programs_of_the_manual_run(self):
        os.environ["BIDE_DIR"] = self.environment["BIDE_DIR"]
        self.addCleanup(os.environ.pop, "BIDE_DIR")
        shared, shown = {}, io.StringIO()
        with contextlib.redirect_stdout(shown):
            for number, program in enumerate(programs(), 1):
                with self.subTest(program):
                    if "import tenacity" in program:
                        try:
                            import tenacity  # pylint: disable=import-outside-toplevel,unused-import
                        except ImportError:
                            continue
                    exec(program, shared)  # pylint: disable=exec-used
        self.assertGreaterEqual(number, 7)
        self.assertEqual(shown.getvalue().splitlines(), [
            "succeeded 1 None", "payments: exhausted after 3 attempts (attempts): http.503 2"])
        self.assertEqual(str(bide.outcomes.classify(
            type("BusyLoadingError", (Exception,), {"__module__": "redis.exceptions"})())),
            "app.loading")
        stats = bide.policy("payments").stats()
        self.assertEqual((stats["version"], stats["succeeded"] >= 4), (1, True))


if __name__ == "__main__":
    fixture.main()
