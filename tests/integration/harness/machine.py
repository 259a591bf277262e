"""A real systemd as process 1 of namespaces of its own, on a throw-away overlay of this machine's root.

    with Machine() as machine:
        machine.write("/etc/meshd/meshd.yaml", text)
        machine.systemctl("start", "meshd.service")

The units of contrib/systemd run as they are: /opt/meshd/venv holds the interpreter and packages of the tests. The
network is shared with the tests. Raises Unavailable where this cannot be had (it takes root and ``PROGRAMS``).
"""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import meshd
from tests.integration.process import wait_for
from tests.tree import ROOT

SYSTEMD = "/usr/lib/systemd/systemd"
PROGRAMS = ("unshare", "nsenter", "systemctl", "pivot_root", "mount")
UNITS = "/run/units"
TARGETS = ("basic", "multi-user", "network-online", "nss-lookup", "shutdown", "sockets", "sysinit", "test")
HIDDEN = ("/home/", "/root/", "/run/", "/tmp/")
LOG = "/run/services.log"
VENV, PYTHON = "/opt/meshd/venv", "/opt/python"

BOOT = """
set -e
mount -t tmpfs tmpfs {folder}
mkdir {folder}/up {folder}/work {folder}/root
mount -t overlay overlay -o lowerdir=/,upperdir={folder}/up,workdir={folder}/work {folder}/root
cd {folder}/root
mount -t proc proc proc
mount --rbind /dev dev
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mkdir -p opt/python opt/meshd/venv/bin etc/meshd
{binds}
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mkdir -p run/units old
pivot_root . old
umount -l /old
mount --make-rshared /
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=meshd SYSTEMD_UNIT_PATH={units} SYSTEMD_LOG_TARGET=null \
    {systemd} --unit=test.target
"""


class Unavailable(Exception):
    """Why there can be no such machine here."""


class Machine:
    """``pid`` is that of its process 1, as this machine counts."""

    def __init__(self):
        _check()
        self.folder = tempfile.mkdtemp(prefix="meshd-machine-")
        self.cgroup = os.path.join(_cgroup2(), os.path.basename(self.folder))
        self.pid = 0
        boot = os.path.join(self.folder, "boot")
        with open(boot, "w") as file:
            file.write(BOOT.format(folder=self.folder + "/t", units=UNITS, systemd=SYSTEMD, binds=_binds()))
        os.mkdir(self.folder + "/t")
        os.mkdir(self.cgroup)
        self.console = open(os.path.join(self.folder, "console"), "w")
        enter = f"echo $$ >{self.cgroup}/cgroup.procs && exec unshare --pid --mount --cgroup --ipc --uts --fork " \
                f"--kill-child --propagation private sh {boot}"
        self.process = subprocess.Popen(
            ["sh", "-c", enter], stdin=subprocess.DEVNULL, stdout=self.console, stderr=subprocess.STDOUT)
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self):
        """Wait until systemd answers; then bring its units."""
        is_there = wait_for(lambda: self.process.poll() is not None or self._first(), "the first process", 30)
        wait_for(lambda: self.process.poll() is not None or os.path.isdir(self.path(UNITS)), "the root", 30)
        if self.process.poll() is not None or not is_there:
            raise Unavailable(f"no systemd in namespaces: {self.log().strip()[-300:]}")
        for name in TARGETS:
            self.write(f"{UNITS}/{name}.target", f"[Unit]\nDescription={name}\nDefaultDependencies=no\n")
        wait_for(lambda: self.process.poll() is not None or self._is_up(), "systemd", 30)
        if self.process.poll() is not None:
            raise Unavailable(f"no systemd in namespaces: {self.log().strip()[-300:]}")
        self.write(f"{VENV}/pyvenv.cfg", f"home = {_home()}\ninclude-system-site-packages = false\n")
        os.symlink(f"{_home()}/{_python()}", self.path(f"{VENV}/bin/python"))
        self.write(f"{VENV}/bin/meshd", f"#!/bin/sh\nexport LD_LIBRARY_PATH={PYTHON}/lib\n"
                                        f'exec {VENV}/bin/python -m meshd.cli.daemon "$@"\n', 0o755)
        logs = f"[Service]\nStandardOutput=append:{LOG}\nStandardError=append:{LOG}\n"
        self.write(f"{UNITS}/service.d/log.conf", logs)
        for unit in ("meshd.service", "meshd@.service"):
            self.write(f"{UNITS}/{unit}", (ROOT / "contrib" / "systemd" / unit).read_text())

    def _first(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with contextlib.suppress(OSError, IndexError):
            self.pid = int(children.read_text().split()[0])
        return self.pid != 0

    def _is_up(self):
        run = self.run("systemctl", "is-system-running", is_checked=False)
        return run.stdout.strip() in ("running", "degraded")

    # What is in it

    def path(self, name):
        """Return how a file of it is called outside."""
        return f"/proc/{self.pid}/root{name}"

    def write(self, name, text, mode=0o644):
        """Write a file in it."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)

    def run(self, *command, is_checked=True):
        """Run a program in it."""
        line = ["nsenter", "--target", str(self.pid), "--all", *command]
        run = subprocess.run(line, capture_output=True, text=True, timeout=100)
        assert not is_checked or run.returncode == 0, f"{shlex.join(command)}: {run.stdout}{run.stderr}\n{self.log()}"
        return run

    def systemctl(self, *arguments, is_checked=True):
        """Run systemctl; return what it printed."""
        return self.run("systemctl", "--no-pager", *arguments, is_checked=is_checked).stdout

    def show(self, unit, name):
        """Return a property of a unit."""
        return self.systemctl("show", "--value", "-p", name, unit).strip()

    def signal(self, unit, name):
        """Send SIGNAME to the main process of a unit."""
        self.systemctl("kill", "--kill-who=main", f"--signal={name}", unit)

    def drop_in(self, unit, name, text):
        """Add to a unit."""
        self.write(f"{UNITS}/{unit}.d/{name}", text)
        self.systemctl("daemon-reload")

    def clear(self, *units):
        """Stop units and forget what was added to them."""
        self.systemctl("stop", *units, is_checked=False)
        for unit in units:
            shutil.rmtree(self.path(f"{UNITS}/{unit}.d"), ignore_errors=True)
        self.systemctl("reset-failed", is_checked=False)
        self.systemctl("daemon-reload")

    def log(self):
        """Return what the services have logged, and what the start of the machine has."""
        found = ""
        for path in (self.console.name, self.path(LOG)):
            with contextlib.suppress(OSError), open(path, errors="replace") as file:
                found += file.read()
        return found

    # Its end

    def close(self):
        """End everything in it and clean up."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid or self.process.pid, 9)
        self.process.wait(30)
        self.console.close()
        wait_for(self._is_swept, "the control groups", 30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_swept(self):
        for folder, _, _ in os.walk(self.cgroup, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        return not os.path.exists(self.cgroup)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            sys.stderr.write(self.log()[-8000:])
        self.close()


def _check():
    """Raise Unavailable where it is known beforehand that it cannot be."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None] + [SYSTEMD] * (not os.path.exists(SYSTEMD))
    if missing:
        raise Unavailable(f"{', '.join(missing)} missing: Debian's systemd and util-linux")
    if os.geteuid() != 0:
        raise Unavailable("namespaces with a systemd take root")
    if not _cgroup2():
        raise Unavailable("there is no writable cgroup2")
    if _is_editable() and str(ROOT).startswith(HIDDEN):
        raise Unavailable(f"services cannot see an editable checkout in {ROOT}")


def _cgroup2():
    """Return where cgroup2 is mounted and may be written, or ""."""
    with open("/proc/mounts") as file:
        rows = [line.split() for line in file]
    return next((row[1] for row in rows if row[2] == "cgroup2" and os.access(row[1], os.W_OK) and "rw" in row[3]), "")


def _is_editable():
    return not Path(meshd.__file__).is_relative_to(sysconfig.get_path("purelib"))


def _is_own_python():
    return sys.base_prefix != "/usr"


def _home():
    return f"{PYTHON}/bin" if _is_own_python() else "/usr/bin"


def _python():
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def _binds():
    """Return the lines that show the interpreter and its packages in the new root."""
    packages = f"opt/meshd/venv/lib/{_python()}/site-packages"
    lines = [f"mkdir -p {packages}", f"mount --bind {shlex.quote(sysconfig.get_path('purelib'))} {packages}"]
    if _is_own_python():
        lines.append(f"mount --bind {shlex.quote(sys.base_prefix)} opt/python")
    return "\n".join(lines)
