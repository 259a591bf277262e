"""A stranger's project: files in a folder of its own, run by pytest or trial in a process of its own."""

import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

PLUGIN = (Path(__file__).parent / "signer.py").read_text()
CLEAN = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST", "MESHD_LOAD_PLUGINS")


class Project:
    """``write`` its files, then ``pytest`` or ``trial``; each returns (exit code, what was printed)."""

    def __init__(self, case):
        folder = tempfile.TemporaryDirectory()
        case.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.write("signer.py", PLUGIN)

    def write(self, name, text):
        """Write a file."""
        (self.folder / name).write_text(textwrap.dedent(text))

    def python(self, *arguments, **environment):
        """Run Python in the folder."""
        kept = {name: value for name, value in os.environ.items() if name not in CLEAN}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, text=True, timeout=120, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=kept | {"PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        )
        return done.returncode, done.stdout

    def pytest(self, *arguments):
        """Run its tests with pytest."""
        return self.python("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir=.", "-ra", *arguments)

    def trial(self, *arguments):
        """Run tests with trial."""
        return self.python("-m", "twisted.trial", *arguments)
