"""The request that is asked about: method, URL and fields as meshctl or the admin page got them, brought to a head."""

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

import attrs

from meshd.errors import MeshdError

DEFAULT_PORTS = {"http": 80, "https": 443}
CLIENT = "127.0.0.1"
"""Who asks where nothing is said of it: a client on this machine."""
MAX_HEADERS = 100


class BadQuestion(MeshdError):
    """The request cannot be asked about; the text says what was expected."""


@attrs.frozen(kw_only=True)
class Asked:
    """One request. ``authority`` and ``target`` come from the URL; ``port`` is None where the URL names none.

    ``headers`` are (name, value) pairs, ``client`` the address that it comes from. ``source`` (a workload) and ``sni``
    are what a mesh and TLS would say of it: filter chains are chosen by the latter, no rule asks for the former.
    """

    method: str
    url: str
    scheme: str
    authority: str
    host: str
    port: int | None
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    listener: str = ""
    client: str = CLIENT
    source: str = ""
    sni: str = ""

    @property
    def wanted_port(self) -> int:
        """The port that a client of the URL connects to."""
        return self.port if self.port is not None else DEFAULT_PORTS[self.scheme]

    def head(self) -> bytes:
        """Return the head as a client would send it; a ``host`` among the headers takes the place of the URL's."""
        pairs = list(self.headers)
        if not any(name.lower() == "host" for name, _ in pairs):
            pairs.insert(0, ("host", self.authority))
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs)]
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")

    def fields(self) -> dict:
        """Return what was asked as plain data."""
        found = {"method": self.method, "url": self.url, "headers": [list(pair) for pair in self.headers],
                 "client": self.client}
        return found | {name: value for name, value in (("from", self.source), ("sni", self.sni)) if value}


def asked(method: str, url: str, headers: Iterable[str] = (), **more: str) -> Asked:
    """Return the Asked of ``method``, ``url`` and ``headers`` (``name: value`` each); raises BadQuestion."""
    if not method or not method.isascii() or not method.isprintable() or " " in method:
        raise BadQuestion(f"method: {method!r}: expected a word such as GET")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadQuestion(f"url: {url!r}: {str(error).lower()}") from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise BadQuestion(f"url: {url!r}: expected http://HOST[:PORT]/PATH")
    if "@" in parts.netloc:
        raise BadQuestion(f"url: {url!r}: expected no user before the host")
    start = url.find(parts.netloc, len(parts.scheme) + 3) + len(parts.netloc)
    target = url[start:].partition("#")[0]  # what a client never sends
    pairs = tuple(_pair(text) for text in headers)
    if len(pairs) > MAX_HEADERS:
        raise BadQuestion(f"header: {len(pairs)} of them: expected at most {MAX_HEADERS}")
    given = {name: value for name, value in more.items() if value}
    _check_client(given.get("client", CLIENT))
    return Asked(method=method, url=url, scheme=parts.scheme, authority=parts.netloc, host=parts.hostname, port=port,
                 target=target if target[:1] == "/" else "/" + target, headers=pairs, **given)


def _pair(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    value = value.strip(" \t")
    if not colon or not name.strip() or any(letter in text for letter in "\r\n\0"):
        raise BadQuestion(f"header: {text!r}: expected NAME:VALUE")
    return name.strip(), value


def _check_client(text: str) -> None:
    try:
        ip_address(text)
    except ValueError:
        raise BadQuestion(f"client address: {text!r}: expected an IP address") from None
