"""An environment of its own beside the one that runs the tests, and a folder of wheels in the place of an index.

What the tests' environment has (meshd, pip) can be imported in it and is never changed by it: pip leaves alone what
lies outside of its own prefix.
"""

import base64
import contextlib
import hashlib
import os
import pty
import site
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from importlib import metadata
from pathlib import Path

LIMIT_S = 300
FILTER = '''
from meshd.api import CONTINUE, PluginType, hookimpl

MESHD_API = ">=1,<2"
VERSION = {version!r}


class Filter:
    def __init__(self, config, site):
        pass

    def on_request(self, exchange):
        return CONTINUE


@hookimpl
def meshd_plugins():
    return [PluginType(kind="http_filter", name={name!r}, build=Filter)]
'''


class Stage:
    """``ctl`` runs meshctl in the environment; ``without`` names distributions of the tests' that it does not see."""

    def __init__(self, *, without=()):
        self._kept = tempfile.TemporaryDirectory(prefix="meshd-stage-")
        self.folder = Path(self._kept.name)
        self.wheels, self.home = self.folder / "wheels", self.folder / "venv"
        self.lock = self.folder / "plugins.lock"
        self.wheels.mkdir()
        venv.create(self.home, with_pip=False)
        self.python = str(self.home / "bin" / "python")
        self.site = Path(sysconfig.get_path("purelib", "venv", {"base": str(self.home)}))
        folders = [self._seen(Path(one), without) for one in site.getsitepackages() if Path(one).is_dir()]
        lines = "".join(f"import site; site.addsitedir({str(one)!r})\n" for one in folders)
        (self.site / "beside.pth").write_text(lines)

    def close(self):
        """Remove everything."""
        self._kept.cleanup()

    def _seen(self, folder, without):
        if not without:
            return folder
        seen = Path(tempfile.mkdtemp(prefix="seen-", dir=self.folder))  # Debian's Python has several such folders
        for path in folder.iterdir():
            if path.name.partition("-")[0] not in without:
                (seen / path.name).symlink_to(path)
        return seen

    # Wheels

    def plugin(self, name, version, *requires, source=None):
        """Put a wheel of a plugin into the folder: a filter called as the distribution is, or ``source``."""
        short, module = name.removeprefix("meshd-"), name.replace("-", "_")
        text = FILTER.format(name=short, version=version) if source is None else source
        points = f"[meshd.plugins]\n{short} = {module}\n"
        return self.wheel(name, version, {f"{module}.py": text}, ("meshd", *requires), points)

    def wheel(self, name, version, files=(), requires=(), points=""):
        """Put a wheel with ``files`` (name -> text or bytes) into the folder; return its path."""
        stem = f"{name.replace('-', '_')}-{version}"
        about = "".join(f"Requires-Dist: {one}\n" for one in requires)
        files = {
            **dict(files),
            f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{about}",
            f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        if points:
            files[f"{stem}.dist-info/entry_points.txt"] = points
        data = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
        record = "".join(f"{name},sha256={_digest(text)},{len(text)}\n" for name, text in data.items())
        data[f"{stem}.dist-info/RECORD"] = (record + f"{stem}.dist-info/RECORD,,\n").encode()
        path = self.wheels / f"{stem}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in data.items():
                archive.writestr(zipfile.ZipInfo(name), text)
        return path

    def library(self, name, version):
        """Put a wheel into the folder that has the files of an installed distribution, and another version."""
        dist = metadata.distribution(name)
        files = {str(file): file.read_binary() for file in dist.files
                 if ".dist-info" not in file.parts[0] and file.suffix == ".py"}
        return self.wheel(name, version, files)

    def unpack(self, path):
        """Install a wheel in a moment: its files are put where pip would put them."""
        with zipfile.ZipFile(path) as archive:
            archive.extractall(self.site)

    # What runs in it

    @property
    def environment(self):
        """The environment variables: pip takes wheels from the folder alone."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "MESHD_"))}
        return {**kept, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels), "PYTHONDONTWRITEBYTECODE": "1",
                "PIP_NO_BUILD_ISOLATION": "0"}  # 0 means: there is none

    def run(self, *command, folder=None):
        """Run a command without a terminal; return (exit code, stdout, stderr)."""
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S,
            cwd=folder or self.folder, env=self.environment)
        return done.returncode, done.stdout, done.stderr

    def command(self, verb, *arguments, admin=None, lock=True):
        """Return the command line of ``meshctl plugins VERB``; nobody answers where ``admin`` is absent."""
        address = admin or f"unix:{self.folder}/nobody"
        changes = verb in ("install", "upgrade", "uninstall") and lock
        locked = ("--lock", str(self.lock)) if changes else ()
        return [self.python, "-P", "-m", "meshd.cli.ctl", "--admin", address, "plugins", verb, *locked, *arguments]

    def ctl(self, verb, *arguments, **options):
        """Run ``meshctl plugins VERB`` without a terminal; return (exit code, stdout, stderr)."""
        return self.run(*self.command(verb, *arguments, **options))

    def ctl_on_terminal(self, typed, verb, *arguments):
        """Run it on a terminal on which ``typed`` is typed; return (exit code, stdout, what the terminal shows)."""
        ours, theirs = pty.openpty()
        try:
            process = subprocess.Popen(
                self.command(verb, *arguments), stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True,
                env=self.environment, cwd=self.folder)
            os.close(theirs)
            os.write(ours, typed.encode())
            out, _ = process.communicate(timeout=LIMIT_S)
            return process.returncode, out, _drained(ours)
        finally:
            os.close(ours)

    def versions(self):
        """Return what is installed in the environment itself: name -> version."""
        return {dist.metadata["Name"]: dist.version for dist in metadata.distributions(path=[str(self.site)])}

    def files(self):
        """Return the names of all files of the environment's packages."""
        return sorted(str(path.relative_to(self.site)) for path in self.site.rglob("*") if path.suffix != ".pyc")


def _digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _drained(descriptor):
    text = b""
    with contextlib.suppress(OSError):  # the other side has gone: that is the end
        while piece := os.read(descriptor, 65536):
            text += piece
    return text.decode()
