"""What discoveries have in common that ask servers by HTTP, through a cluster of the mesh: http, consul, etcd and
kubernetes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from meshd.api import (
    CallAnswer, CallError, CallRequest, ConfigurationError, Duration, File, Need, Reference, Size, Text, config, option,
)

from meshd_plugins.discovery.options import SourceOptions
from meshd_plugins.discovery.secret import Secret
from meshd_plugins.discovery.source import SourceError

SHOWN = 120
"""Characters of a server's answer that an error shows."""


@config
class RemoteOptions(SourceOptions):
    """Who is asked, and with which bounds."""

    cluster: str = option(Reference("cluster"), doc="cluster of the servers that are asked (HTTP/1.1, no TLS yet)")
    host: str = option(Text(pattern=r"[!-~]*"), default="", doc="Host of requests (the server's address when empty)")
    timeout_s: float = option(Duration(minimum=0.01), default=5.0, doc="until a server that does not answer is left")
    max_answer_bytes: int = option(Size(minimum=1024), default=16 * 2**20, doc="a longer answer is refused")


@config
class TokenOptions(RemoteOptions):
    """A token that is sent with each request."""

    token_file: str | None = option(
        File(), default=None, doc="file of the token, read for each request; credential:NAME for one of systemd's"
    )
    token_env: str = option(Text(), default="", doc="environment variable that holds the token")

    def check(self):
        """Yield faults between fields."""
        if self.token_file and self.token_env:
            yield "token_env", "expected either token_file or token_env, not both"


class Remote:
    """Asks the servers of one source. ``header`` makes the field that carries the token of it."""

    def __init__(self, options: RemoteOptions, site: Any, header: Callable[[bytes], tuple[bytes, bytes]]) -> None:
        if options.cluster == site.name:
            raise ConfigurationError(f"cluster {site.name}: discovery: cluster: expected another one than its own")
        self._options = options
        self._site = site
        self._header = header
        self._secret = Secret(getattr(options, "token_file", None), getattr(options, "token_env", ""), site)

    def ask(self, target: str, headers: Iterable[tuple[bytes, bytes]] = (), **request: Any) -> Deferred:
        """Return a Deferred of the CallAnswer; it fails with SourceError. ``request`` has fields of CallRequest."""
        asked = self._secret.fetch()
        asked.addCallback(self._send, target, tuple(headers), request)
        return asked.addErrback(_lost)

    def _send(self, token: bytes | None, target: str, headers: tuple, request: dict) -> Deferred:
        if token is not None:
            headers = (*headers, self._header(token))
        settings = {"timeout_s": self._options.timeout_s, **request}
        return self._site.call(self._options.cluster, CallRequest(
            target=target.encode("ascii"), host=self._options.host.encode("ascii"), headers=headers,
            limit_bytes=self._options.max_answer_bytes, **settings))


class Targets(Sequence):
    """The targets of an answer, each made when its turn comes: ``make`` turns an item into labels, and never raises."""

    def __init__(self, items: Sequence, make: Callable[[Any], dict[str, str]]) -> None:
        self._items = items
        self._make = make

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, place: int) -> dict[str, str]:
        return self._make(self._items[place])

    def __iter__(self) -> Iterator[dict[str, str]]:
        return map(self._make, self._items)


def bearer(token: bytes) -> tuple[bytes, bytes]:
    """Return the field of RFC 6750."""
    return b"authorization", b"Bearer " + token


def check_status(answer: CallAnswer, *expected: int) -> None:
    """Raise SourceError, with the begin of what the server says, unless the status is expected."""
    if answer.status not in (expected or (200,)):
        text = " ".join(answer.body[:SHOWN].decode("utf-8", "replace").split())
        raise SourceError(f"status {answer.status}{': ' + text if text else ''}: expected {(expected or (200,))[0]}")


def decoder(shape: Any, strict: bool = True) -> Callable[[bytes], Any]:
    """Return a function of JSON bytes that raises SourceError where they have another shape.

    Unless it is ``strict``, text may stand for a number.
    """
    decode = msgspec.json.Decoder(shape, strict=strict).decode

    def read(data: bytes) -> Any:
        try:
            return decode(data)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise SourceError(f"answer: {error}") from None
    return read


def references(config: RemoteOptions) -> Iterator[Need]:
    """Yield the cluster and the files."""
    yield Need("cluster", config.cluster, "cluster")
    for name in ("token_file", "password_file"):
        if getattr(config, name, None):
            yield Need("file", getattr(config, name), name)


def _lost(why: Failure) -> Failure:
    if why.check(CallError):
        raise SourceError(str(why.value)) from None
    return why
