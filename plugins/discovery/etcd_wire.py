"""The messages of etcd's JSON gateway that ``etcd`` uses, and what the values of its keys say.

Bytes are base64, 64-bit numbers are text where etcd writes them and fields with the default are left out (proto3).
A value is an endpoint in one of the shapes of the ``file`` discovery, or a list of them.
"""

from typing import Annotated, Any

import msgspec

from meshd_plugins.discovery.shape import targets

DELETE = "DELETE"
KEY = "__meta_etcd_key"

Number = Annotated[int, msgspec.Meta(ge=0)]


class Message(msgspec.Struct, omit_defaults=True, gc=False):
    """The base of all."""


class RangeRequest(Message):
    """Read keys from ``key`` until before ``range_end``."""

    key: bytes
    range_end: bytes
    limit: int = 0
    revision: int | None = None


class CreateRequest(Message):
    """Watch keys from a revision on."""

    key: bytes
    range_end: bytes
    start_revision: int
    progress_notify: bool = False


class WatchRequest(Message):
    """What a watch's stream begins with."""

    create_request: CreateRequest


class AuthenticateRequest(Message):
    """Ask for a token."""

    name: str
    password: str


class Header(Message):
    """What each answer has."""

    revision: Number = 0


class KeyValue(Message):
    """One key."""

    key: bytes = b""
    value: bytes = b""
    mod_revision: Number = 0


class RangeResult(Message):
    """The answer to a RangeRequest; ``more``: there are others after these."""

    header: Header
    kvs: list[KeyValue] = []
    more: bool = False


class Event(Message):
    """One change; ``type`` is DELETE, or a put."""

    kv: KeyValue
    type: str = "PUT"


class WatchResult(Message):
    """One message of a watch."""

    header: Header
    events: list[Event] = []
    created: bool = False
    canceled: bool = False
    compact_revision: Number = 0
    cancel_reason: str = ""

    @property
    def revision(self) -> int:
        """Up to which revision all has come with it; the header's may be later than events that are still to come."""
        if self.events:
            return max([event.kv.mod_revision for event in self.events])
        return 0 if self.created else self.header.revision


class Error(Message):
    """Why a stream has ended."""

    message: str = ""


class WatchMessage(Message):
    """One line of a watch's stream."""

    result: WatchResult | None = None
    error: Error | None = None


class AuthenticateResult(Message):
    """The token."""

    token: str


encode = msgspec.json.encode


def range_end(prefix: bytes) -> bytes:
    """Return the first key that does not begin with ``prefix``; 0x00 stands for no end."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else b"\0"


def parse(key: bytes, value: bytes) -> list[dict[str, str]]:
    """Return the targets of one key; raises ValueError naming it."""
    name = key.decode("utf-8", "backslashreplace")
    try:
        tree = msgspec.json.decode(value)
        found = targets(tree if isinstance(tree, list) else [tree])
    except RecursionError:
        raise ValueError(f"{name}: nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return [{**target, KEY: name} for target in found]


def parse_all(rows: list[tuple[bytes, bytes]], known: dict[bytes, Any]) -> tuple[dict, dict]:
    """Return (targets, faults) by key. A value that cannot be read leaves what is ``known``. Runs in a thread."""
    found, faults = {}, {}
    for key, value in rows:
        try:
            found[key] = parse(key, value)
        except ValueError as error:
            faults[key] = str(error)
            if key in known:
                found[key] = known[key]
    return found, faults
