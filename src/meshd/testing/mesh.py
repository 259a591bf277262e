"""A real proxy in the test's process: the daemon without its command line, on free ports, in a thread of its own.

    with Mesh(text_of_a_configuration, plugins=[my_plugin]) as proxy:
        assert proxy.get("/hello").status == 200

Leaving it ends the proxy, and fails where it held on to something or where an exception was logged.
"""

import gc
import time
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import deferLater

from meshd.cli.log import Log
from meshd.errors import ConfigurationError, MeshdError
from meshd.runtime.outcome import Outcome
from meshd.service.daemon import Daemon, Failed
from meshd.testing import leak
from meshd.testing.client import Answer, Client
from meshd.testing.configuration import NAME, Configuration, shown
from meshd.testing.log import ProxyLog, Raised
from meshd.testing.metric import Reading, reading_of
from meshd.testing.site import FakeTime
from meshd.testing.thread import ReactorThread

SETTLE_S = 5.0
"""How long the end waits for requests whose clients have gone."""
LOOK_S = 0.005
PLUGIN_ERRORS = "meshd_plugin_errors_total"


class Mesh:
    """``Mesh(source)`` serves from here on. ``source`` is YAML text, a mapping, or a path (``os.PathLike``).

    Each listener's address may have port 0, and the admin API has a free port unless one is written; ``ports`` tells.
    The watchdog is off unless the configuration has ``plugins.watchdog``. ``plugins`` are modules and PluginTypes of
    the test, beside those that are installed. ``clock`` (a FakeTime) is then what plugins get as ``site.clock``: now,
    wall and call_later; the proxy's own time-outs, the delays of retries and its deadlines go by real time.

    Raises ConfigurationError with the faults as ``meshd --check`` shows them, PluginError where a plugin of the test
    cannot be used, MeshdError where an address is taken.
    """

    def __init__(self, source: Any, *, plugins: Iterable[Any] = (), clock: FakeTime | None = None) -> None:
        try:
            self._configuration = Configuration(source, plugins)
            loaded = self._configuration.load()
        except ConfigurationError as error:
            raise shown(error) from None
        self._clients: list[Client] = []
        self._is_closed = False
        self._flushed = 0.0
        self._thread = ReactorThread("meshd proxy")
        self.log = ProxyLog(self._thread.ident)
        self._time = Following(clock, self._thread)
        self._ended: Deferred = Deferred()
        try:
            self.daemon: Daemon = self.call(self._made, loaded)
            self.call(self.daemon.begin)
        except Exception as error:
            self._abandon()
            raise _start_error(error) from None

    def _made(self, loaded: Any) -> Daemon:
        daemon = Daemon(
            self._thread.reactor, loaded, self._configuration.registry, [NAME], log_levels=Log(), on_end=self._end,
            clock=self._time.clock, read=lambda: maybeDeferred(self._configuration.load),
        )
        daemon.reloader.on_swap.append(_thaw)
        return daemon

    # What a test asks

    @property
    def addresses(self) -> dict[str, str]:
        """The address of each listener by name, with the port that the kernel chose."""
        return {row["name"]: row["bound"] for row in self.call(self.daemon.listeners)}

    @property
    def ports(self) -> dict[str, int]:
        """The port of each listener by name (those on unix sockets have none)."""
        return {name: int(one.rpartition(":")[2]) for name, one in self.addresses.items() if one[:5] != "unix:"}

    @property
    def address(self) -> str:
        """The address of the listener that is configured first."""
        first = self.daemon.loaded.snapshot.listeners[0].name
        return self.addresses[first]

    @property
    def port(self) -> int:
        """The port of the listener that is configured first."""
        return int(self.address.rpartition(":")[2])

    def client(self, listener: str = "", **options: Any) -> Client:
        """Return a Client that keeps its connection; it is closed with the proxy. ``listener`` is a name."""
        client = Client(self.addresses[listener] if listener else self.address, **options)
        self._clients.append(client)
        return client

    def get(self, path: str, **options: Any) -> Answer:
        """Ask with GET on a connection of its own; options as ``request``."""
        return self.request("GET", path, **options)

    def request(self, method: str, path: str, *, listener: str = "", **options: Any) -> Answer:
        """Return the answer to a request on a connection of its own; ``headers`` and ``body`` as Client.request."""
        with Client(self.addresses[listener] if listener else self.address) as client:
            return client.request(method, path, **options)

    def admin(self, path: str, method: str = "GET", **options: Any) -> Answer:
        """Return the answer of the admin API (``/clusters?format=json``; changes want POST)."""
        with Client(self.daemon.admin.bound) as client:
            return client.request(method, path, **options)

    def reload(self, source: Any = None) -> Outcome:
        """Reload as on SIGHUP, with another configuration if there is one; return how it ended, accepted or not.

        The outcome has ``is_accepted``, ``text``, ``faults``, ``generation``, ``changed``.
        """
        if source is not None:
            self._configuration.source = source
        self.call(self.daemon.reload)
        return self.daemon.reloader.outcome

    def plugin(self, name: str) -> Any:
        """Return the live object of a plugin by its ``name`` in the configuration; KeyError with the names there are.

        It belongs to the proxy's thread: what changes it goes through ``call``.
        """
        found = {one.plugin.name: one.made for one in self.daemon.runtime.own()}
        if name not in found:
            raise KeyError(f"plugin {name!r}: expected one of {', '.join(sorted(found))}")
        return found[name]

    @property
    def metrics(self) -> Reading:
        """All metrics as they are now: ``proxy.metrics['name{label="value"}']``."""
        return self.call(reading_of, self.daemon.metrics)

    @property
    def faults(self) -> list[Raised]:
        """The exceptions that were logged; the end fails where there are any. ``flush_faults`` forgets them."""
        return list(self.log.raised)

    def flush_faults(self, *types: type) -> list[Raised]:
        """Return and forget the logged exceptions of these classes, of all where none is named: they were expected.

        A plugin's are logged once a second at most; what is not logged is counted, and forgotten here as well.
        """
        self._flushed = self._counted()
        return self.log.flush(*types)

    def _counted(self) -> float:
        return self.metrics.get(PLUGIN_ERRORS, 0)

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Return what ``function(*args)``, or its Deferred, comes to in the proxy's thread."""
        return self._thread.call(function, *args)

    # The end

    def settle(self, limit_s: float = SETTLE_S) -> None:
        """Wait until no request is in flight; AssertionError with what is held all the same."""
        until = time.monotonic() + limit_s
        while found := self.call(leak.busy, self.daemon):
            if time.monotonic() > until:
                raise AssertionError(f"proxy: after {limit_s:g} s without clients:\n" + _listed(found))
            time.sleep(LOOK_S)

    def close(self, is_checked: bool = True) -> None:
        """End the proxy, and fail where it leaks or has logged an exception, unless ``is_checked`` is False."""
        if self._is_closed:
            return
        self._is_closed = True
        for client in self._clients:
            client.close()
        try:
            if is_checked:
                self.settle()
            unflushed = self._counted() - self._flushed
            found = self.call(self._quit)
        finally:
            self._abandon()
        if is_checked:
            self._judge(found, unflushed)

    def _judge(self, found: list[str], unflushed: float) -> None:
        if found:
            raise AssertionError("proxy: left behind:\n" + _listed(found))
        if self.log.raised:
            raise AssertionError("proxy: logged, and not flushed:\n" + "".join(map(str, self.log.raised)))
        if unflushed:
            raise AssertionError(f"proxy: {PLUGIN_ERRORS} grew by {unflushed:g} since flush_faults()")

    def _quit(self) -> Deferred:
        """End at once what has no request any more; the Deferred gets what is left."""
        self.daemon.quit()
        self.daemon.quit()
        return self._ended

    def _end(self) -> None:
        """Called by the daemon when its runtime has stopped."""
        stopped = maybeDeferred(self.daemon.stopService).addCallback(lambda _: self._after())
        stopped.chainDeferred(self._ended)

    def _after(self) -> Deferred:
        self.daemon.end()
        reactor = self._thread.reactor
        leak.cut_admin(reactor)
        return deferLater(reactor, 0, lambda: leak.left(self.daemon, reactor, self._time.timers))

    def _abandon(self) -> None:
        """Free what the test's process holds of the proxy."""
        self._is_closed = True
        self._time.close()
        try:
            self._thread.end()
            if hasattr(self, "daemon"):
                self.daemon.monitor.stop()  # one that was refused has not ended by itself
                self.daemon.world.poller.epoll.close()
        finally:
            self.log.close()

    def __enter__(self) -> "Mesh":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.close(is_checked=kind is None)


class Following:
    """The plugins' clock in a proxy that goes by a test's: what falls due is called in the proxy's thread."""

    def __init__(self, clock: FakeTime | None, thread: ReactorThread) -> None:
        self.clock: FakeTime | None = None
        self._leader = clock
        self._thread = thread
        if clock is not None:
            self.clock = FakeTime(now_s=time.monotonic(), wall_s=clock.wall())
            clock.followers.append(self.follow)

    def follow(self, seconds: float) -> None:
        """The test's clock has moved."""
        self._thread.call(self.clock.advance, seconds)

    @property
    def timers(self) -> list[Any]:
        """The calls of plugins that are still to be made."""
        return self.clock.timers if self.clock is not None else []

    def close(self) -> None:
        """Follow no more."""
        if self._leader is not None and self.follow in self._leader.followers:
            self._leader.followers.remove(self.follow)


def _thaw(runtime: Any) -> None:
    """Undo the daemon's freezing of all objects for the collector: here most of them are the test's."""
    gc.unfreeze()


def _start_error(error: Exception) -> Exception:
    if isinstance(error, ConfigurationError):
        return shown(error)
    if isinstance(error, Failed):
        return shown(ConfigurationError(str(error), error.faults)) if error.is_configuration else MeshdError(str(error))
    return error


def _listed(found: Iterable[str]) -> str:
    return "".join(f"  {line}\n" for line in found)
