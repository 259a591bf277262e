"""A source in the test's hand, for tests of the rules that every discovery keeps to."""

import unittest

from meshd.testing.site import FakeSite
from twisted.internet.defer import Deferred, fail, succeed

from meshd_plugins.discovery.options import SourceOptions
from meshd_plugins.discovery.source import Answer, Discovery


class ScriptedSource:
    """Answers what ``say`` and ``break_off`` set; with neither, a look waits in ``looks``."""

    name = "scripted somewhere"

    def __init__(self):
        self.looks = []
        self.count = 0
        self.outcome = None
        self.is_stopped = False
        self.wake = None

    def start(self, wake):
        self.wake = wake

    def stop(self):
        self.is_stopped = True

    def look(self):
        self.count += 1
        if self.outcome is None:
            self.looks.append(Deferred())
            return self.looks[-1]
        return fail(self.outcome) if isinstance(self.outcome, Exception) else succeed(self.outcome)

    def say(self, *addresses, next_s=None, faults=(), **labels):
        self.outcome = Answer(
            targets=[{"__address__": one, **labels} for one in addresses], next_s=next_s, faults=faults)

    def break_off(self, error):
        self.outcome = error


class SourceCase(unittest.TestCase):
    """``self.source`` is watched by ``self.watch()``; ``self.reports`` are lists of addresses."""

    def setUp(self):
        self.source = ScriptedSource()
        self.site = FakeSite("users")
        self.reports = []

    def watch(self, site=None, key=None, **options):
        self.discovery = Discovery("scripted", self.source, SourceOptions(**options), site or self.site, key=key)
        self.addCleanup(self.discovery.stop)
        self.first = self.discovery.watch(lambda specs: self.reports.append([spec.address for spec in specs]))
        return self.discovery

    def tell(self, *addresses, **more):
        """Let the source know of a change."""
        self.source.say(*addresses, **more)
        self.source.wake()
        self.site.advance(0.101)  # LOOK_GAP_S

    def value(self, name):
        return self.site.metrics.value(f"meshd_discovery_{name}", "users", "scripted")
