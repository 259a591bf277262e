"""A configured plugin instance, and the daemon's plugin settings."""

from typing import Any

import attrs

from meshd.document.beside import PROCESS, Isolation
from meshd.document.option import Boolean, Duration, File, Integer, ListOf, Nested, Text, config, option

FAIL_CLOSED = "fail-closed"
FAIL_OPEN = "fail-open"


@attrs.frozen(kw_only=True)
class Plugin:
    """One use of a plugin type: ``kind`` and ``type`` name what is built from ``config``.

    ``name`` is the instance's (default: the type's). ``on_error`` decides what a fault of it means. ``percent`` is the
    share of the requests that it takes part in; one with ``canary_of`` stands for that instance on its share.
    ``where`` is ``file:line:col`` or ``default of native``; it does not count when plugins are compared.
    """

    kind: str
    type: str
    config: Any
    name: str
    on_error: str = FAIL_CLOSED
    disabled: bool = False
    isolation: Isolation | None = None
    percent: float = 100.0
    canary_of: str = ""
    where: str = attrs.field(default="", eq=False)

    @property
    def is_isolated(self) -> bool:
        """Say whether its code runs in a child process."""
        return self.isolation is not None and self.isolation.mode == PROCESS


@config
class Watchdog:
    """The thread that sees a blocked reactor."""

    late_s: float = option(Duration(minimum=0.01), default=0.05, doc="the reactor is late from here on")
    strikes: int = option(Integer(minimum=1), default=3, doc="late times in ten minutes until a plugin is bypassed")
    enabled: bool = option(Boolean(), default=True, doc="run the watchdog")


@config
class PluginSettings:
    """Which plugins are loaded, and how they are watched."""

    load: tuple[str, ...] | None = option(
        ListOf(item=Text(minimum=1)), default=None, doc="the only entry points to load (all when absent)"
    )
    dir: str | None = option(File(), default=None, doc="folder of one-file plugins; owned by root or this user")
    strict: bool = option(Boolean(), default=False, doc="a plugin that cannot be loaded is an error, not a warning")
    sample_every: int = option(
        Integer(minimum=0, maximum=1_000_000), default=128, doc="time the plugins on one request in so many (0: never)"
    )
    max_errors: int = option(
        Integer(minimum=0), default=0, doc="faults until an instance is bypassed by its on_error (0: never)"
    )
    watchdog: Watchdog = option(Nested(Watchdog), default=Watchdog(), doc="the reactor's watchdog")
