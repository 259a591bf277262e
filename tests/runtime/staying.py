"""A program of the tests: what becomes of a reader that stays, in a process with a reactor of its own.

    python -m tests.runtime.staying SCENARIO FOLDER      # prints a JSON list
"""

import json
import os
import random
import sys

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from meshd.config.load import load
from meshd.errors import ConfigurationError, GenerationNeeded
from meshd.model.plugin import PluginSettings
from meshd.registry import Registry
from meshd.runtime.child import ChildReader
from meshd.runtime.clock import Clock
from meshd.telemetry.metrics import Metrics
from meshd.wire.world import World
from tests.istio.scale import write

FOLDER = sys.argv[2]
PLUGINS = os.path.join(FOLDER, "plugins")
ENOUGH, MANY, FEW = 110, 300, 5


class Reading:
    """A reader of the folder and what the scenarios ask of it."""

    def __init__(self, services=ENOUGH):
        self.path = write(FOLDER, services, services * 2)
        self.settings = PluginSettings(dir=PLUGINS if os.path.isdir(PLUGINS) else None)
        self.registry = Registry.load(self.settings, {})
        self.world = World(reactor, Clock(reactor), random.Random(1), Metrics(), Logger(observer=lambda event: None))
        self.reader = ChildReader(
            self.world, [self.path], self.settings, fingerprint=self.registry.fingerprint)

    @property
    def process(self):
        return self.reader._process

    @property
    def pid(self):
        return self.process.transport.pid if self.process.transport is not None else None

    async def read(self):
        try:
            return await self.reader.read()
        except (ConfigurationError, GenerationNeeded) as error:
            return error

    def cold(self):
        return load([self.path], self.registry).snapshot

    def edit(self, old, new, name="routes-00003.yaml"):
        path = os.path.join(FOLDER, "mesh.d", name)
        with open(path) as file:
            text = file.read()
        assert old in text
        with open(path, "w") as file:
            file.write(text.replace(old, new))


async def ended(process):
    """Return when the process has ended."""
    while process.transport is not None:
        turn = Deferred()
        reactor.callLater(0.01, turn.callback, None)
        await turn


async def stays():
    """The second reading is of the same child, right, and of the same objects but one."""
    one = Reading(MANY)
    first, pid = await one.read(), one.pid
    one.edit("timeout: 2s", "timeout: 9s")
    second = await one.read()
    hosts = [found.snapshot.listeners[0].filters[-1].config.virtual_hosts for found in (first, second)]
    same = [mine is other for mine, other in zip(*hosts)].count(True)
    shared = [mine is other for mine, other in zip(first.snapshot.clusters, second.snapshot.clusters)].count(True)
    return [one.pid == pid, second.snapshot == one.cold(), first.digest != second.digest, len(hosts[0]) - same,
            len(second.snapshot.clusters) - shared]


async def ends():
    """A child with few documents ends."""
    one = Reading(FEW)
    first = await one.read()
    await ended(one.process)
    second = await one.read()
    return [first.snapshot == one.cold(), second.snapshot == first.snapshot]


async def faults():
    """Faults are those of a new child, and the child stays."""
    one = Reading()
    await one.read()
    pid = one.pid
    one.edit("timeout: 2s", "timeout: soon")
    bad = await one.read()
    try:
        one.cold()
        same = False
    except ConfigurationError as error:
        same = [str(fault) for fault in error.faults] == [str(fault) for fault in bad.faults]
    one.edit("timeout: soon", "timeout: 3s")
    good = await one.read()
    return [same, good.snapshot == one.cold(), one.pid == pid]


async def killed():
    """A child that was killed while it waited, or while it answers, costs nothing but time."""
    one = Reading()
    await one.read()
    pid = one.pid
    os.kill(pid, 9)
    after = await one.read()
    again = one.pid
    asked = one.reader.read()
    os.kill(again, 9)
    last = await asked
    return [after.snapshot == last.snapshot == one.cold(), len({pid, again, one.pid}) == 3]


async def upgraded():
    """A child that runs other code than is installed now does not answer."""
    os.mkdir(PLUGINS, 0o755)
    plugin = os.path.join(PLUGINS, "extra.py")
    with open(plugin, "w") as file:
        file.write("from meshd.api import hookimpl\n\n@hookimpl\ndef meshd_plugins():\n    return []\n")
    one = Reading()
    await one.read()
    pid = one.pid
    with open(plugin, "a") as file:
        file.write("# another build\n")
    found = await one.read()
    return [type(found).__name__, one.pid != pid]


async def closed():
    """The child ends with its reader."""
    one = Reading()
    await one.read()
    process = one.process
    one.reader.close()
    await ended(process)
    return [process.transport is None, str(await one.read())]


async def prepared():
    """A reading that is asked for while one is prepared begins after it."""
    one = Reading()
    first = one.reader.prepare()
    one.edit("timeout: 2s", "timeout: 9s")
    second = await one.read()
    return [(await first) is not None, second.snapshot == one.cold(), one.process.answers]


def main():
    """Run one scenario."""
    def end(result):
        print(json.dumps(result) if isinstance(result, list) else result.getTraceback())
        reactor.stop()

    scenario = globals()[sys.argv[1]]
    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(scenario()).addBoth(end))
    reactor.run()


if __name__ == "__main__":
    main()
