"""The configuration of the access log."""

from meshd.api import Choice, Duration, Integer, ListOf, MapOf, Nested, Number, Size, Text, config, flag, option
from meshd_plugins.access_log.file import STREAMS
from meshd_plugins.access_log.line import ENVOY_FORMAT, check
from meshd_plugins.access_log.matcher import parse_status

FLAGS = tuple(one.code for one in flag.FLAGS)


@config
class Filter:
    """Which exchanges are logged: those that meet every condition given, or any of them."""

    match: str = option(Choice(("all", "any")), default="all", doc="meet all conditions, or any one")
    status: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1, maximum=7), maximum=100), default=(), doc="statuses: 404, 5xx or 400-499"
    )
    status_min: int = option(Integer(maximum=999), default=0, doc="lowest status (0: any)")
    flags: tuple[str, ...] = option(
        ListOf(item=Choice(FLAGS), maximum=100), default=(), doc="one of these response flags"
    )
    duration_min_s: float = option(Duration(), default=0.0, doc="shortest time that the exchange took")
    percent: float = option(Number(maximum=100.0), default=100.0, doc="share that is logged, drawn at random")

    def check(self):
        """Yield faults."""
        for text in self.status:
            try:
                parse_status(text)
            except ValueError as error:
                yield "status", str(error)


@config
class Buffer:
    """What waits between the proxy and the file."""

    limit_bytes: int = option(
        Size(minimum=4096), default=4 << 20, doc="waiting bytes; beyond, lines are dropped and counted"
    )
    flush_size_bytes: int = option(Size(minimum=1), default=1 << 16, doc="waiting bytes at which the writer begins")
    flush_interval_s: float = option(
        Duration(minimum=0.01, maximum=60.0), default=1.0, doc="longest wait of a line for the writer"
    )


@config
class AccessLog:
    """One line for each exchange, as text (Envoy's default format when nothing is said) or as JSON."""

    path: str = option(Text(minimum=1, maximum=4096), default="-", doc="- or stdout, stderr, or an absolute path")
    format: str = option(Text(minimum=1), default=ENVOY_FORMAT, doc="a line with %OPERATORS%")
    json: tuple[tuple[str, str], ...] = option(
        MapOf(value=Text(), maximum=200), default=(), doc="a JSON object instead: key to text with %OPERATORS%"
    )
    filter: Filter | None = option(Nested(Filter), default=None, doc="which exchanges (all when absent)")
    buffer: Buffer = option(Nested(Buffer), default=Buffer(), doc="bounds")

    def check(self):
        """Yield faults between fields, and those of the formats that need no other plugin to be seen."""
        if self.path not in STREAMS and not self.path.startswith("/"):
            yield "path", f"expected -, stdout, stderr or an absolute path, got {self.path!r}"
        if self.json and self.format != ENVOY_FORMAT:
            yield "json", "expected either format or json, not both"
        for name, text in (("format", self.format), *(("json", text) for _, text in self.json)):
            try:
                check(text)
            except ValueError as error:
                yield name, str(error)
