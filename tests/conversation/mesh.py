"""A daemon in front of a scripted upstream, its access log by client, and the fresh request behind each case."""

import itertools
import json
import os
import tempfile
import time

from tests.conversation.client import LIMIT_S, Client
from tests.conversation.recorder import Recorder
from tests.integration.harness.daemon import LOG_FIELDS, Daemon, one_cluster


class Mesh:
    """``upstream`` is a Recorder, or something that answers GET /fresh/N as one does. Leave it by ``with``."""

    def __init__(self, upstream=None, **options):
        self.upstream = upstream or Recorder()
        self.folder = tempfile.TemporaryDirectory(prefix="hostile-")
        path = os.path.join(self.folder.name, "access.log")
        fields = {**LOG_FIELDS, "peer": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%"}
        log = {"access_log": {"path": path, "json": fields, "buffer": {"flush_interval": "10ms"}}}
        options = {"cluster": {"pool": {"idle_timeout": "60s"}}, **options}
        configuration = one_cluster(
            self.upstream.address, listener={"http": {"codec": "http1"}}, telemetry=["prometheus", log], **options)
        self.daemon = Daemon(configuration, access_log=path)
        self.port = self.daemon.port
        self.numbers = itertools.count(1)
        self._rows, self._at, self._path = {}, 0, path

    def __enter__(self):
        self.daemon.__enter__()
        return self

    def __exit__(self, *error):
        try:
            if error[0] is None:
                self.settled()
            self.daemon.__exit__(*error)
        finally:
            self.upstream.close()
            self.folder.cleanup()

    def settled(self):
        """Wait until nothing is held any more but idle connections to the upstream; fails with what is."""
        until = time.monotonic() + LIMIT_S
        while found := self._held():
            assert time.monotonic() < until, f"held though no client is there: {found}"
            time.sleep(0.05)

    def _held(self):
        found = self.daemon.leaks()
        idle = found.pop("envoy_cluster_upstream_cx_active", 0)
        found["fds"] = max(0, found.get("fds", 0) - idle)
        return {name: count for name, count in found.items() if count and name != "up connections"}

    def fresh(self, client=None):
        """Ask for something that nobody has asked for, on a new connection or on ``client``; return what was heard."""
        target = b"/fresh/%d" % next(self.numbers)
        if client is None:
            with Client(self.port) as client:
                return self._ask(client, target)
        return self._ask(client, target)

    def _ask(self, client, target):
        assert client.send(b"GET %b HTTP/1.1\r\nHost: fresh\r\n\r\n" % target)
        heard = client.answer()
        assert (heard.status, heard.closes, client.rest) == (200, False, b""), heard
        assert heard.body.startswith(b"GET %b HTTP/1.1\r\nHost: fresh\r\n" % target), heard.body
        return heard

    def rows(self, client, count):
        """Wait for ``count`` lines of the access log about a client's connection; return all that there are."""
        peer, until = client.host, time.monotonic() + LIMIT_S
        while (rows := self._read(peer, count)) is None:
            assert time.monotonic() < until, f"expected {count} lines of the access log for {peer}"
            time.sleep(0.002)
        return rows

    def _read(self, peer, count):
        if len(self._rows.get(peer, ())) < count and os.path.exists(self._path):
            with open(self._path) as file:
                file.seek(self._at)
                lines, _, _ = file.read().rpartition("\n")
            for line in lines.splitlines():
                row = json.loads(line)
                self._rows.setdefault(row["peer"].rpartition(":")[0], []).append(row)
            self._at += len(lines.encode()) + bool(lines)
        rows = self._rows.get(peer, [])
        return rows if len(rows) >= count else None
