"""The admin API as a service: bound before the listeners, moved when its address changes."""

import socket
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

from meshd.admin import address
from meshd.admin.handed import HandedPort
from meshd.admin.index import PAGES, plugin_page
from meshd.admin.page import Page
from meshd.admin.site import MAX_CONNECTIONS, AdminSite
from meshd.errors import MeshdError
from meshd.host.store import ADMIN
from meshd.model.plugin import Plugin
from meshd.runtime.assembly import Built
from meshd.wire.sockets import unlink_quietly

log = Logger(namespace="meshd.admin")


class AdminService(Service):
    """``address`` is where it listens; ``bound`` the same with the port that the kernel chose."""

    def __init__(self, daemon: Any, reactor: Any, where: str) -> None:
        self.address = where
        self.bound = where
        self._daemon = daemon
        self._reactor = reactor
        self._port: Any = None
        self._site: AdminSite | None = None
        self._is_foreign = False

    def startService(self) -> None:
        """Listen (IService); raises OSError or ConfigurationError where that cannot be."""
        self._open(self.address)
        super().startService()

    def stopService(self) -> Any:
        """Listen no more (IService)."""
        super().stopService()
        port, self._port = self._port, None
        return None if port is None else self._end(port, self.address, self._is_foreign)

    def _end(self, port: Any, where: str, is_foreign: bool) -> Any:
        if is_foreign:
            return address.leave(port)
        if isinstance(port, HandedPort) and where.startswith(f"{address.UNIX}/"):
            unlink_quietly(where[len(address.UNIX):])
        return port.stopListening()

    def _open(self, where: str) -> None:
        sockets = self._daemon.world.sockets
        handed = sockets.take(ADMIN, where)
        self._is_foreign = handed is not None and sockets.is_foreign(handed)
        is_unix = where.startswith(address.UNIX) if handed is None else handed.family == socket.AF_UNIX
        site = AdminSite(self._daemon, PAGES, is_unix=is_unix, reactor=self._reactor)
        self._port = (
            address.bind(self._reactor, where, site) if handed is None else address.adopt(self._reactor, handed, site))
        self._site = site
        self.address = where
        self.bound = address.render(self._port, where)

    def handed_over(self) -> list[tuple[int, str, str, bool]]:
        """Return the listening socket as ``meshd.host.handover.Listening``, for another generation."""
        return [] if self._port is None else [(self._port.fileno(), ADMIN, self.address, self._is_foreign)]

    def leave(self) -> None:
        """Another generation goes on with the socket: accept no more here; open connections get their answers."""
        port, self._port = self._port, None
        if port is not None:
            address.leave(port)

    def finish(self) -> bool:
        """Say whether everybody has been answered; then nobody is let in any more where others go on with the socket.

        It is for the end of a drain. Who is let in between this and the end of the process would be cut.
        """
        is_answered = self._site is None or not self._site.is_owing
        if is_answered and self._is_foreign:
            self.leave()
        return is_answered

    @property
    def is_full(self) -> bool:
        """Say whether there are so many connections that more are turned away."""
        return self._site is not None and self._site.connections >= MAX_CONNECTIONS

    def pages(self) -> list[Page]:
        """Return all pages, those of plugins too."""
        return list(self._site.pages.values()) if self._site is not None else list(PAGES)

    def swapped(self, runtime: Any) -> None:
        """A new runtime is in force: listen where it says, and serve its plugins' pages."""
        wanted = runtime.snapshot.admin.address
        if wanted != self.address:
            self._move(wanted)
        self._site.pages = {page.path: page for page in (*_plugin_pages(runtime), *PAGES)}

    def _move(self, wanted: str) -> None:
        old, previous, is_foreign = self._port, self.address, self._is_foreign
        try:
            self._open(wanted)
        except (OSError, MeshdError) as error:
            log.error("{error}: the admin API stays at {address}", error=str(error), address=self.address)
            return
        self._end(old, previous, is_foreign)
        log.info("admin API moved to {address}", address=self.bound)


def _made(runtime: Any, found: Any) -> Any:
    """Build and start the object of a page; the runtime stops it at its end."""
    config = found.config() if found.config is not None else None
    made = found.build(config, runtime.ground.site(found.name, ""))
    start = getattr(made, "start", None)
    if callable(start):
        start()
    runtime.built.append(Built(Plugin(kind=found.kind, type=found.name, name=found.name, config=config), made))
    return made


def _plugin_pages(runtime: Any) -> list[Page]:
    """Return the pages of the plugins; a plugin that fails loses its page and nothing else."""
    pages = []
    registry = runtime.registry
    for name in registry.names("admin_page"):
        found = registry.type("admin_page", name)
        try:
            pages.append(plugin_page(_made(runtime, found), found.doc))
        except Exception:
            log.failure("admin_page {name} of {who}: no page", name=name, who=registry.entry("admin_page", name).label)
    return pages
