"""A daemon with two workers, its processes, and its next generation: what the tests know of how that is done."""

from tests.integration.process import wait_for

TWO_WORKERS = {"workers": 2}
"""The top of a configuration with two workers."""
RECYCLED = {"workers": 2, "overload": {"memory": {"recycle": "200MiB"}}}
"""The top of a configuration whose workers are replaced from this much resident memory on."""


def upgrade(daemon, note=lambda: None):
    """Have a new generation take over; return when it serves. The old one drains meanwhile; the next waits for that.

    ``note()`` is called when it serves and the old one has just begun to drain.
    """
    before = daemon.json("/server_info")["pid"]

    def is_accepted():
        status, body = daemon.ask("/upgrade", "POST")
        assert status == 200 or b"still drains" in body, body
        if status == 200:
            note()
        return status == 200

    wait_for(is_accepted, "the end of the generation before", 60)
    taken_over(daemon, before)


def taken_over(daemon, before, limit_s=30.0):
    """Wait until another process than ``before``, or than one that was new before, answers as ready on the admin
    address; return its id. A generation that has not heard of its heir yet may still answer.
    """
    old = daemon.generations | {before}

    def other():
        if not daemon.is_ready():
            return None
        now = daemon.json("/server_info")["pid"]
        return now if now not in old else None

    new = wait_for(other, "the new generation", limit_s)
    daemon.generations |= {before, new}
    return new


def workers(daemon):
    """Return the process ids of the workers, in the order of their index."""
    rows = daemon.json("/server_info")["workers"]
    placed = [row for row in rows if row["index"] is not None and row.get("state", "serving") == "serving"]
    return [row["pid"] for row in sorted(placed, key=lambda row: row["index"])]
