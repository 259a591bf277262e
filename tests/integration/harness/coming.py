"""What the daemon does not do yet, though the tests for it are written: turn its constant on when it does.

``upgrade`` and ``workers`` are all that those tests know of how it is done.
"""

import pytest

from tests.integration.process import wait_for

UPGRADE = False
"""A new generation takes over the listening sockets."""
WORKERS = False
"""``workers: 2`` serves with two processes."""
RECYCLE = False
"""A worker whose memory passes a limit is replaced."""

needs_upgrade = pytest.mark.skipif(not UPGRADE, reason="upgrade not there yet")
needs_workers = pytest.mark.skipif(not WORKERS, reason="workers not there yet")
needs_recycling = pytest.mark.skipif(not RECYCLE, reason="recycling not there yet")

TWO_WORKERS = {"workers": 2}
"""The top of a configuration with two workers."""
RECYCLED = {"workers": 2, "recycle": {"resident": "200MiB"}}
"""The top of a configuration whose workers are replaced from this much resident memory on."""


def upgrade(daemon):
    """Have a new generation take over; return when it serves. The old one drains meanwhile."""
    before = daemon.json("/server_info")["pid"]
    status, body = daemon.ask("/upgrade", "POST")
    assert status == 200, body
    taken_over(daemon, before)


def taken_over(daemon, before, limit_s=30.0):
    """Wait until another process than ``before`` answers as ready on the admin address; return its id."""
    def other():
        if not daemon.is_ready():
            return None
        now = daemon.json("/server_info")["pid"]
        return now if now != before else None

    return wait_for(other, "the new generation", limit_s)


def workers(daemon):
    """Return the process ids of the workers, in the order of their index."""
    rows = daemon.json("/server_info")["workers"]
    return [row["pid"] for row in sorted(rows, key=lambda row: row["index"])]
