"""The discovery ``http``: Prometheus' HTTP SD, a list of targets and labels that a server is asked for again and again.

https://prometheus.io/docs/prometheus/latest/http_sd/ has the format: status 200, ``application/json``, and always the
whole list. What it does not say is asked for here: an entity tag is sent back, and 304 means that nothing has changed.
"""

import re
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from meshd.api import CallAnswer, Duration, PluginType, Text, config, option

from meshd_plugins.discovery.remote import (
    Remote, Targets, TokenOptions, bearer, check_status, decoder, references,
)
from meshd_plugins.discovery.source import Answer, Discovery, SourceError
from meshd_plugins.discovery.target import ADDRESS

JITTER = 0.1
"""The time between two looks varies by so much of itself, so that many proxies do not ask at once."""
URL = "__meta_url"
_JSON = re.compile(rb'application/json(?:\s*;\s*charset=(?:utf-8|"utf-8"))?', re.IGNORECASE)


@config
class HttpOptions(TokenOptions):
    """Prometheus' HTTP SD."""

    path: str = option(Text(pattern=r"/[!-~]*"), default="/", doc="path and query that are asked for")
    refresh_interval_s: float = option(
        Duration(minimum=0.05), default=60.0, doc="time between two looks (Prometheus' default), 10 % more or less"
    )


class Group(msgspec.Struct, gc=False):
    """Addresses that have labels in common."""

    targets: list[str]
    labels: dict[str, str] = {}


read_groups = decoder(list[Group])


class HttpSource:
    """Asks for the list, and keeps the last one for a server that says that it has not changed."""

    def __init__(self, options: HttpOptions, site: Any) -> None:
        self.name = f"http {options.cluster}{options.path}"
        self._options = options
        self._random = site.random
        self._remote = Remote(options, site, bearer)
        self._url = f"http://{options.host or options.cluster}{options.path}"
        self._tag: bytes | None = None
        self._found: list[tuple[str, dict[str, str]]] = []

    def look(self) -> Deferred:
        """Return a Deferred of an Answer."""
        interval = f"{self._options.refresh_interval_s:g}".encode()
        headers = [(b"accept", b"application/json"), (b"x-prometheus-refresh-interval-seconds", interval)]
        if self._tag is not None:
            headers.append((b"if-none-match", self._tag))
        return self._remote.ask(self._options.path, headers).addCallback(self._read)

    def _read(self, answer: CallAnswer) -> Answer:
        if answer.status != 304 or self._tag is None:
            self._take(answer)
        next_s = self._options.refresh_interval_s * self._random.uniform(1 - JITTER, 1 + JITTER)
        return Answer(targets=Targets(self._found, self._target), next_s=next_s)

    def _take(self, answer: CallAnswer) -> None:
        check_status(answer, 200)
        kind = answer.headers.get(b"content-type") or b""
        if not _JSON.fullmatch(kind):
            raise SourceError(f"content-type {kind.decode('latin-1')!r:.80}: expected application/json")
        groups = read_groups(answer.body)
        self._found = [(target, group.labels) for group in groups for target in group.targets]
        self._tag = answer.headers.get(b"etag")

    def _target(self, found: tuple[str, dict[str, str]]) -> dict[str, str]:
        address, labels = found
        return {URL: self._url, **labels, ADDRESS: address}


def build(config: HttpOptions, site: Any) -> Discovery:
    """Return a Discovery."""
    return Discovery("http", HttpSource(config, site), config, site)


TYPE = PluginType(
    kind="discovery", name="http", config=HttpOptions, build=build, references=references,
    doc="Endpoints that a server lists (Prometheus' HTTP SD).",
)
