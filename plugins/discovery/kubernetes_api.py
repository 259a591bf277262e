"""A list of Kubernetes' API that is kept up to date by its watch; for ``kubernetes_source``.

https://kubernetes.io/docs/reference/using-api/api-concepts/ has the rules: list, watch from the list's resource
version, take the version of each event and bookmark, list again at 410. Lists are read without a resource version,
which is from a quorum: what a server has in its cache may be older than what was seen before.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from twisted.internet.defer import Deferred

from meshd.api import CallAnswer

from meshd_plugins.discovery.follow import Lines
from meshd_plugins.discovery.remote import Remote, check_status, decoder
from meshd_plugins.discovery.source import SourceError

PAGE = 500
MAX_LISTS = 3
"""Lists that may be begun anew because their continuation has expired."""
WATCH_S = 270.0
"""How long the server is asked to keep a watch, 10 % more or less; then the next one shows that it lives."""
JSON = (b"accept", b"application/json")
GONE = 410


class Meta(msgspec.Struct, rename="camel", gc=False):
    """ObjectMeta and ListMeta."""

    name: str = ""
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")
    labels: dict[str, str] | None = None


Item = TypeVar("Item")


class Listing(msgspec.Struct, Generic[Item], gc=False):
    """A list, or a page of it."""

    metadata: Meta
    items: list[Item] | None = None


class Plain(msgspec.Struct, gc=False):
    """An object of which only the metadata matters (BOOKMARK)."""

    metadata: Meta = msgspec.field(default_factory=Meta)


class Status(msgspec.Struct, gc=False):
    """Why a watch ends (ERROR)."""

    code: int = 0
    message: str = ""


class Event(msgspec.Struct, gc=False):
    """One line of a watch."""

    type: str
    object: msgspec.Raw


class Gone(Exception):
    """The version that was asked for is not kept any more: everything has to be listed again."""


read_event = decoder(Event)
read_plain = decoder(Plain)
read_status = decoder(Status)


class Collection:
    """``objects`` are those of one path and selector, by name; ``shape`` is the struct of one, with ``metadata``."""

    def __init__(self, path: str, query: dict[str, str], shape: Any, remote: Remote, *, limit_bytes: int) -> None:
        self.objects: dict[str, Any] = {}
        self._path = path
        self._query = query
        self._remote = remote
        self._limit_bytes = limit_bytes
        self._read_list = decoder(Listing[shape])
        self._read_object = decoder(shape)
        self._version = ""

    def fetch(self) -> Deferred:
        """List all objects."""
        return self._list({}, "", 1)

    def watch(self, seconds: float, changed: Callable[[bool], Any]) -> Deferred:
        """Follow the changes, ``changed(is_change)`` for each line, until the server ends it, after so many seconds.

        The Deferred fails with Gone, or with SourceError.
        """
        query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": self._version,
                 "timeoutSeconds": f"{seconds:.0f}"}
        lines = Lines(lambda line: self._take(line, changed), self._limit_bytes)
        asked = self._ask(query, on_data=lines.feed, idle_s=seconds + 30)
        return asked.addCallback(self._ended)

    def _ask(self, query: dict[str, str], **request: Any) -> Deferred:
        text = urlencode({**self._query, **query}, quote_via=quote)
        return self._remote.ask(f"{self._path}?{text}", [JSON], **request)

    def _list(self, found: dict[str, Any], more: str, count: int) -> Deferred:
        query = {"limit": str(PAGE), **({"continue": more} if more else {})}
        return self._ask(query).addCallback(self._take_page, found, count)

    def _take_page(self, answer: CallAnswer, found: dict[str, Any], count: int) -> Any:
        if answer.status == GONE and found and count < MAX_LISTS:
            return self._list({}, "", count + 1)
        check_status(answer, 200)
        page = self._read_list(answer.body)
        found.update((one.metadata.name, one) for one in page.items or ())
        if page.metadata.continue_:
            return self._list(found, page.metadata.continue_, count)
        if not page.metadata.resource_version:
            raise SourceError("list: expected a resource version")
        self.objects, self._version = found, page.metadata.resource_version
        return None

    def _take(self, line: bytes, changed: Callable[[bool], Any]) -> None:
        event = read_event(line)
        if event.type == "ERROR":
            status = read_status(event.object)
            if status.code == GONE:
                raise Gone
            raise SourceError(f"watch: {status.message or f'status {status.code}'}")
        if event.type == "BOOKMARK":
            self._version = read_plain(event.object).metadata.resource_version or self._version
            changed(False)
            return
        found = self._read_object(event.object)
        if event.type == "DELETED":
            self.objects.pop(found.metadata.name, None)
        else:
            self.objects[found.metadata.name] = found
        self._version = found.metadata.resource_version or self._version
        changed(True)

    @staticmethod
    def _ended(answer: CallAnswer) -> None:
        if answer.status == GONE:
            raise Gone
        check_status(answer, 200)
