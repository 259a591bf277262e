"""Bytes of one side of a connection to frames: what is cut is kept in pieces until the frame can be whole."""

from meshd.api import SESSION


class Frames:
    """``left`` are the bytes after the last whole frame. Long frames cost one joining, not one for each piece."""

    __slots__ = ("_codec", "_pieces", "_size", "_wanted")

    def __init__(self, codec):
        self._codec = codec
        self._pieces = []
        self._size = 0
        self._wanted = 0

    def feed(self, data):
        """Return the frames that are whole now; raises ProtocolError."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size < self._wanted:
            return ()
        whole = b"".join(self._pieces) if len(self._pieces) > 1 else data
        frames, rest = self._codec.decode(whole)
        is_session = bool(frames) and frames[-1].kind == SESSION  # what follows is no frame of ours
        self._wanted = self._codec.frame_bytes(rest) if rest and not is_session else 0
        self._pieces = [rest] if rest else []
        self._size = len(rest)
        return frames

    @property
    def left(self):
        """Return the bytes after the last whole frame."""
        return b"".join(self._pieces)
