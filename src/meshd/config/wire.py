"""Frames between the reload's child and its parent: length, kind, keyed digest, payload.

The key is made by the parent for one child and never leaves the two; bytes that were not framed with it are refused
before anything is unpickled. Payloads are at most a few KiB, so that one takes less than 2 ms to unpickle.
"""

import hashlib
import hmac
import struct

from meshd.errors import MeshdError

OUTLINE = b"O"
"""What a supervisor must know, as JSON; the first frame, so that it is understood whatever code wrote the rest."""
CHUNK = b"C"
"""Items of a large tuple: its number, then a pickled list."""
LOADED = b"L"
FAULTS = b"F"

KEY_BYTES = 32
DIGEST_BYTES = 16
MAX_FRAME_BYTES = 256 * 1024 * 1024
HEAD = struct.Struct("!Ic16s")


class BadFrame(MeshdError):
    """The bytes do not come from our own child."""


def digest(key: bytes, place: int, kind: bytes, payload: bytes) -> bytes:
    """Return the keyed digest of one frame; ``place`` is its number, so that frames cannot be left out or swapped."""
    return hashlib.blake2b(b"%d:%s:" % (place, kind) + payload, key=key, digest_size=DIGEST_BYTES).digest()


def pack(key: bytes, place: int, kind: bytes, payload: bytes) -> bytes:
    """Return one frame."""
    return HEAD.pack(len(payload), kind, digest(key, place, kind, payload)) + payload


class Unpacker:
    """Bytes to frames, in order. ``feed`` only keeps bytes; ``next`` checks and returns one frame or None."""

    def __init__(self, key: bytes, limit_bytes: int = 1024 * 1024 * 1024) -> None:
        self._key = key
        self._buffer = bytearray()
        self._limit_bytes = limit_bytes
        self._place = 0

    def feed(self, data: bytes) -> None:
        """Keep bytes. Raises BadFrame when more than the limit waits."""
        if len(self._buffer) + len(data) > self._limit_bytes:
            raise BadFrame(f"configuration reader: expected at most {self._limit_bytes} bytes")
        self._buffer += data

    def next(self) -> tuple[bytes, bytes] | None:
        """Return (kind, payload), or None until a whole frame is there. Raises BadFrame."""
        if len(self._buffer) < HEAD.size:
            return None
        length, kind, seal = HEAD.unpack_from(self._buffer)
        if length > MAX_FRAME_BYTES:
            raise BadFrame(f"configuration reader: frame of {length} bytes, expected at most {MAX_FRAME_BYTES}")
        if len(self._buffer) < HEAD.size + length:
            return None
        payload = bytes(memoryview(self._buffer)[HEAD.size : HEAD.size + length])
        if not hmac.compare_digest(seal, digest(self._key, self._place, kind, payload)):
            raise BadFrame("configuration reader: a frame has the wrong digest")
        del self._buffer[: HEAD.size + length]
        self._place += 1
        return kind, payload


class Ending:
    """Finds the end of an answer in its bytes by the heads of the frames alone; what is in them is checked later."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self._is_last = False

    def feed(self, data: bytes) -> bool:
        """Say whether the last frame is whole with these bytes. Raises BadFrame where more comes after it."""
        place = 0
        while place < len(data):
            if self._is_last and not self._left:
                raise BadFrame("configuration reader: it says more than was asked")
            if self._left:
                step = min(self._left, len(data) - place)
                self._left -= step
            else:
                step = min(HEAD.size - len(self._head), len(data) - place)
                self._head += data[place : place + step]
                if len(self._head) == HEAD.size:
                    self._left, kind, _ = HEAD.unpack(self._head)
                    self._head, self._is_last = b"", kind in (LOADED, FAULTS)
            place += step
        return self._is_last and not self._left
