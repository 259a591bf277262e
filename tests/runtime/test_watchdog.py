"""What the watchdog sees: threads that really block, and a clock in the test's hand."""

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import ModuleType
from unittest import TestCase

from meshd.model.plugin import Watchdog as Settings
from meshd.registry import Entry
from meshd.runtime.watchdog import Watchdog
from meshd.telemetry.metrics import Metrics

PLUGIN = """
class Filter:
    def on_request(self, inside, go):
        self.wait(inside, go)

    def wait(self, inside, go):
        inside.set()
        go.wait(10)
"""
HELLO = Entry(name="hello", distribution="acme-hello", version="1.2", module="acme.hello")


def plugin():
    module = ModuleType("acme.hello")
    exec(compile(PLUGIN, "/acme/hello.py", "exec"), vars(module))
    return module.Filter()


class Loop:
    """A reactor of one thread: runs one function after the other, each as a batch."""

    def __init__(self):
        self.beat = 0.0

    def run(self, now, function, *args):
        """Run ``function`` in a thread that blocks; return when it is inside, with what lets it go on."""
        inside, go = threading.Event(), threading.Event()
        self.beat = now
        self.thread = threading.Thread(target=function, args=(inside, go, *args))
        self.thread.start()
        assert inside.wait(10)
        return go

    def finish(self, go):
        go.set()
        self.thread.join(10)
        self.beat = 0.0


class WatchdogTest(TestCase):
    def setUp(self):
        self.loop = Loop()
        self.reports, self.lates = [], []
        self.metrics = Metrics()
        self.watchdog = Watchdog(
            Settings(late_s=0.05), beat=lambda: self.loop.beat,
            owner=lambda name: HELLO if name == "acme.hello" else None, on_late=self.lates.append,
            post=lambda function, *args: function(*args), metrics=self.metrics,
            report=self.reports.append,
        )

    def block(self, now, function):
        go = self.loop.run(now, function)
        self.addCleanup(go.set)
        self.watchdog._thread_id = self.loop.thread.ident
        return go

    def test_names_the_plugin_while_it_blocks(self):
        made = plugin()
        self.block(100.0, made.on_request)
        for now in (100.01, 100.03, 100.055):
            self.watchdog.look(now)
        self.assertEqual(len(self.reports), 1)
        self.assertIn("55 ms late: blocked by plugin 'hello' of acme-hello 1.2: ", self.reports[0])
        self.assertIn("hello.py:8 wait < hello.py:4 on_request", self.reports[0])
        self.assertEqual(self.lates[0].selves, {id(made)})
        self.assertEqual(self.metrics.value("meshd_reactor_late_total", "hello"), 1)

    def test_tells_once_for_each_batch_and_measures_it(self):
        go = self.block(100.0, plugin().on_request)
        for now in (100.03, 100.055, 100.1, 102.0):
            self.watchdog.look(now)
        self.loop.finish(go)
        self.watchdog.look(102.03)
        self.assertEqual(len(self.reports), 1)
        self.assertEqual(self.metrics.value("meshd_reactor_lag_seconds"), 1)
        self.block(110.0, plugin().on_request)
        for now in (110.03, 110.06):
            self.watchdog.look(now)
        self.assertEqual(len(self.lates), 2)

    def test_an_idle_reactor_is_not_late(self):
        for now in (100.0, 200.0, 300.0):
            self.watchdog.look(now)
        self.assertEqual(self.lates, [])

    def test_does_not_blame_a_plugin_that_came_late_into_a_long_batch(self):
        self.block(100.0, plugin().on_request)
        self.watchdog.look(100.06)
        self.assertEqual(self.lates, [])
        self.watchdog.look(100.09)
        self.assertEqual(self.lates[0].entry, HELLO)

    def test_does_not_blame_a_plugin_that_is_called_again_and_again(self):
        go = self.block(100.0, plugin().on_request)
        self.watchdog.look(100.03)
        self.loop.finish(go)
        self.block(100.0, plugin().on_request)
        self.watchdog.look(100.06)
        self.assertEqual(self.lates, [])

    def test_meshd_itself_is_named_where_no_plugin_is_on_the_stack(self):
        def busy(inside, go):
            inside.set()
            go.wait(10)

        self.block(100.0, busy)
        for now in (100.03, 100.06, 100.15, 100.21):
            self.watchdog.look(now)
        self.assertIn("blocked by meshd: ", self.reports[0])
        self.assertEqual(self.metrics.value("meshd_reactor_late_total", "meshd"), 1)

    def test_a_long_batch_is_counted_for_meshd_when_it_has_ended(self):
        self.loop.beat = 100.0
        for now in (100.03, 100.06):
            self.watchdog.look(now)
        self.loop.beat = 100.07
        self.watchdog.look(100.08)
        self.assertEqual([(late.entry, self.reports) for late in self.lates], [(None, [])])


PROCESS = """
import random, sys, threading, time
from types import ModuleType
from twisted.internet import reactor
from twisted.logger import Logger
from meshd.api import PluginType, hookimpl
from meshd.model.plugin import PluginSettings, Watchdog as Settings
from meshd.registry import Registry
from meshd.runtime.clock import Clock
from meshd.runtime.watchdog import Watchdog
from meshd.telemetry.metrics import Metrics
from meshd.wire.world import World

registry = Registry.load(PluginSettings(load=("sleepy",), dir=sys.argv[1]), {})
world = World(reactor, Clock(reactor), random.Random(1), Metrics(), Logger())
block = registry.type("http_filter", "sleepy").build
late = []
watchdog = Watchdog(
    Settings(late_s=0.05), beat=lambda: world.beat, owner=registry.owner, on_late=lambda one: late.append(one),
    post=reactor.callFromThread, metrics=world.metrics,
)
watchdog.start()
world.call_later(0, block, None, None)

def end():
    print(late[0].entry.name if late else "nobody", world.metrics.value("meshd_reactor_late_total", "sleepy"))
    reactor.stop()

world.call_later(0.1, end)
reactor.run()
watchdog.stop()
"""

SLEEPY = """
import time
from meshd.api import PluginType, hookimpl

def block(config, site):
    time.sleep(0.5)

@hookimpl
def meshd_plugins():
    return [PluginType(kind="http_filter", name="sleepy", build=block)]
"""


class ProcessTest(TestCase):
    def test_a_real_plugin_that_sleeps_is_named_on_standard_error(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            path = Path(folder, "sleepy.py")
            path.write_text(SLEEPY)
            path.chmod(0o644)
            began = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-c", PROCESS, folder], capture_output=True, text=True, timeout=60
            )
        self.assertEqual(done.stdout.split(), ["sleepy", "1"], done.stderr)
        self.assertIn("blocked by plugin 'sleepy' of file sleepy.py", done.stderr)
        self.assertIn("sleepy.py:6 block", done.stderr)
        self.assertLess(time.monotonic() - began, 60)
