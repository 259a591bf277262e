"""``python contrib/release/repack.py FILE.tar.gz``: rewrite an sdist so that the same sources make the same bytes.

setuptools takes times, modes, owners and the gzip header from the machine that it runs on. Here every time is
``SOURCE_DATE_EPOCH`` (reproducible-builds.org), owners are root, modes are 644 or 755, and members are sorted.
"""

import gzip
import io
import os
import sys
import tarfile
from pathlib import Path


def normal(member: tarfile.TarInfo, time_s: int) -> tarfile.TarInfo:
    """Return a member of the archive without what differs between machines."""
    found = tarfile.TarInfo(member.name)
    found.size, found.type, found.linkname = member.size, member.type, member.linkname
    found.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    found.mtime, found.uname, found.gname = time_s, "root", "root"
    return found


def repack(path: Path, time_s: int) -> None:
    """Rewrite the archive in its place."""
    packed = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member in sorted(old.getmembers(), key=lambda one: one.name):
            new.addfile(normal(member, time_s), old.extractfile(member) if member.isfile() else None)
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=time_s) as zipped:
        zipped.write(packed.getvalue())


if __name__ == "__main__":
    repack(Path(sys.argv[1]), int(os.environ["SOURCE_DATE_EPOCH"]))
