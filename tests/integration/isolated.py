"""A stranger's plugin that misbehaves as its request's path says, and a daemon that runs it in a child process."""

import os
import subprocess
import tempfile
import threading
import time

from tests.integration.harness.daemon import Daemon, document
from tests.integration.process import wait_for

PLUGIN = r'''
import os, sys, time
from twisted.internet.defer import Deferred
from meshd.api import CONTINUE, STOP, Identity, Integer, PluginType, Text, config, hookimpl, option

PATHS = {}

def on(path):
    return lambda method: PATHS.setdefault(path, method)

@config
class Bad:
    """Tells one from another."""
    value: str = option(Text(), default="one", doc="x")
    fails: str = option(Text(), default="", doc="what does not work")

class BadFilter:
    def __init__(self, config, site):
        self.config, self.site = config, site
        self.count = site.metrics.counter("bad_requests_total", "Requests", ("value",)).cell(config.value)
        self.sizes = site.metrics.histogram("bad_sizes", "Sizes", (), (1.0, 10.0)).cell()
        self.active = site.metrics.gauge("bad_active", "Active").cell()
        self.hoard = []
        if config.fails == "cluster":
            site.cluster("up")

    def start(self):
        if self.config.fails == "start":
            raise RuntimeError("no luck")
        self.active.set(5)

    def stop(self):
        self.site.log.info("{value} has stopped", value=self.config.value)

    def on_request(self, exchange):
        self.count.inc()
        self.sizes.observe(2.0)
        act = PATHS.get(exchange.request.path)
        return CONTINUE if act is None else act(self, exchange)

    def on_response(self, exchange):
        if exchange.request.path == b"/raise-back":
            raise RuntimeError("oops back")
        headers = exchange.response.headers
        headers.set(b"x-child", b"%d %b" % (os.getpid(), self.config.value.encode()))
        headers.set(b"x-note", str(exchange.metadata.get("bad")).encode())

    def on_complete(self, exchange):
        if exchange.request.path == b"/complete":
            self.site.log.info("complete {status}", status=exchange.response.status)

    @on(b"/raise")
    def raises(self, exchange):
        raise RuntimeError("oops")

    @on(b"/block")
    def blocks(self, exchange):
        time.sleep(0.2)
        return CONTINUE

    @on(b"/hang")
    def hangs(self, exchange):
        time.sleep(30)

    @on(b"/never")
    def never(self, exchange):
        return Deferred()

    @on(b"/exit")
    def exits(self, exchange):
        os._exit(3)

    @on(b"/leak")
    def leaks(self, exchange):
        self.hoard.append(b"x" * (4 << 20))
        return CONTINUE

    @on(b"/garbage")
    def garbage(self, exchange):
        os.write(int(sys.argv[1]), b"\xff" * 64)
        return CONTINUE

    @on(b"/print")
    def prints(self, exchange):
        print("printed by a stranger", flush=True)
        self.site.log.warn("logged {what}", what="by a stranger")
        return CONTINUE

    @on(b"/fds")
    def fds(self, exchange):
        exchange.reply(200, " ".join(os.readlink(f"/proc/self/fd/{n}").partition(":")[0]
                                     for n in os.listdir("/proc/self/fd")
                                     if os.path.exists(f"/proc/self/fd/{n}")).encode())
        return STOP

    @on(b"/modules")
    def modules(self, exchange):
        exchange.reply(200, " ".join(sorted(name for name in sys.modules if "plugin" in name)).encode())
        return STOP

    @on(b"/transform")
    def transforms(self, exchange):
        exchange.transform_request(lambda data, is_end: data)
        return CONTINUE

    @on(b"/smuggle")
    def smuggles(self, exchange):
        exchange.request.headers.set(b"content-length", b"7")
        return CONTINUE

    @on(b"/reply")
    def replies(self, exchange):
        exchange.reply(418, b"tea\n", [(b"x-pot", b"brown")], detail="bad_tea")
        return STOP

    @on(b"/stop")
    def stops(self, exchange):
        return STOP

    @on(b"/change")
    def changes(self, exchange):
        exchange.request.headers.set(b"x-client-seen", exchange.client.encode())
        exchange.request.headers.set(b"x-route", exchange.route.name.encode())
        exchange.request.set_target(b"/changed?a=b")
        exchange.identity = Identity(name="ann", method="bad")
        exchange.metadata["bad"] = {"n": 1}
        return CONTINUE

    @on(b"/body")
    def reads(self, exchange):
        return self.body(exchange)

    async def body(self, exchange):
        data = await exchange.read_body(1000)
        size = await self.site.in_thread(len, data if data is not None else b"")
        exchange.reply(200, b"%d" % size)
        return STOP

@hookimpl
def meshd_plugins():
    return [PluginType(kind="http_filter", name="bad", config=Bad, build=BadFilter)]
'''


def folder():
    """Return a folder that has the plugin."""
    path = tempfile.mkdtemp(prefix="meshd-plugins-")
    os.chmod(path, 0o755)
    with open(os.path.join(path, "bad.py"), "w") as file:
        file.write(PLUGIN)
    os.chmod(file.name, 0o644)
    return path


def configuration(upstream, where, *, bad=None, more=(), isolation="process", on_error="fail-closed", **plugins):
    """Return a configuration: ``/beside`` goes past the plugin, all else through it; both to ``upstream``."""
    one = {"bad": bad or {}, "isolation": isolation, "on_error": on_error}
    routes = [{"match": {"prefix": "/beside"}, "cluster": "up", "disabled_filters": ["bad"], "name": "beside"},
              {"match": {"prefix": "/"}, "cluster": "up", "name": "all"}]
    made = document(routes, [{"name": "up", "endpoints": [{"address": upstream}]}],
                    plugins={"dir": where, **plugins})
    filters = made["listeners"][0]["filters"]
    made["listeners"][0]["filters"] = [one, *more, *filters]
    return made


class Mesh(Daemon):
    """A daemon with the bad plugin, whose traceback in the log is no fault of the daemon's."""

    def change(self, made):
        """Reload with another configuration, on the same port; return the outcome."""
        made["listeners"][0]["address"] = f"127.0.0.1:{self.port}"
        self.write(made)
        return self.reload()

    def cries(self):
        """Return the lines of the log that must never be there."""
        return [line for line in super().cries() if "Traceback" not in line]

    def use(self, name="bad"):
        """Return what /plugins says of the use of the plugin."""
        for plugin in self.json("/plugins")["plugins"]:
            for use in plugin["uses"]:
                if use["name"] == name:
                    return use
        return None

    def child(self, name="bad"):
        """Return the pid of the child that takes calls, None while there is none."""
        process = self.use(name)["process"]
        return process["pid"] if process["state"] == "running" else None

    def running(self, other_than=None):
        """Wait for a child that takes calls; return its pid."""
        return wait_for(lambda: (pid := self.child()) and pid != other_than and pid, "a child", 60)

    def children(self):
        """Return the pids of all child processes."""
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True)
        return {int(pid) for pid in found.stdout.split()}


class Beside(threading.Thread):
    """Asks for ``/beside`` all the time; ``times_s`` are what the answers took."""

    def __init__(self, daemon, client):
        super().__init__(daemon=True)
        self.times_s, self.failures = [], []
        self._ended = threading.Event()
        self._daemon, self._client = daemon, client
        self.start()

    def run(self):
        """Ask until ``stop``."""
        while not self._ended.is_set():
            began = time.monotonic()
            answer = self._client(self._daemon.port, "/beside")
            self.times_s.append(time.monotonic() - began)
            if answer[0] != 200:
                self.failures.append(answer)

    def stop(self):
        """Return the 99th percentile in seconds."""
        self._ended.set()
        self.join()
        assert not self.failures, self.failures[:3]
        return sorted(self.times_s)[int(len(self.times_s) * 0.99)]
