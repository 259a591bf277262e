"""A stranger's distribution as its user gets it: built as a wheel, installed with pip beside meshd, in its own venv.

The venv sees what the running Python has (meshd among it, editable or not) and nothing is fetched from anywhere.
"""

import os
import shutil
import site
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2] / "thirdparty" / "acme"
QUIET = ("--quiet", "--disable-pip-version-check", "--no-index")
FIRST, SECOND = "1.0", "2.0"


def run(*command, **options):
    """Run a command; return what it printed, or fail with it."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, **options)
    assert done.returncode == 0, f"{command}:\n{done.stdout}"
    return done.stdout


def wheel(folder, release):
    """Build this release of the project; return the wheel's path. Only the one line in release.py differs."""
    source = folder / f"source-{release}"
    shutil.copytree(PROJECT, source)
    line = source / "meshd_acme" / "release.py"
    text = line.read_text()
    assert f'"{FIRST}"' in text
    line.write_text(text.replace(f'"{FIRST}"', f'"{release}"'))
    target = folder / "wheels"
    run(sys.executable, "-m", "pip", "wheel", *QUIET, "--no-deps", "--no-build-isolation", "-w", target, source)
    return target / f"meshd_acme-{release}-py3-none-any.whl"


class Venv:
    """``python`` is its interpreter."""

    def __init__(self, folder):
        self.folder = folder
        self.python = str(folder / "bin" / "python")
        run(sys.executable, "-m", "venv", "--without-pip", folder)
        packages = run(self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        lines = (f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages())
        Path(packages, "beside.pth").write_text("".join(lines))

    def install(self, path):
        """Install a wheel, in place of another version; its requirements must be there already."""
        run(self.python, "-m", "pip", "install", *QUIET, "--upgrade", path)

    def meshd(self, *arguments, **environment):
        """Return (exit code, output) of ``meshd``."""
        done = subprocess.run(
            [self.python, "-m", "meshd.cli.daemon", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=120, env=os.environ | environment)
        return done.returncode, done.stdout
