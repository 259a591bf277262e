"""One segment of memory that the processes of a host share: counts and tokens that mean the same with many workers.

The supervisor makes it and buries the dead; each worker opens it from the inherited descriptor with a slot of its own.

Strategy: a process writes only what is its own (its word in a row of counts, its bit in a claim) or what it holds the
lock of. The directory is changed under a file lock, which the kernel frees when its holder dies; an entry is in use
while its claims are not 0, and that word is written last when a cell is made and last when it ends. So a process may be
killed between any two instructions: ``bury`` then takes away what it owned, and all else is whole.
"""

import fcntl
import mmap
import os
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from meshd.host.layout import (
    BLOCK_BYTES, BLOCKS_AT, CLAIMS_AT, DIRECTORY_AT, ENTRIES, ENTRY, ENTRY_BYTES, HEADER, LARGE_AT, LARGE_STEP,
    LOCK_BYTES, LOCKING_AT, LOCKINGS, MAGIC, MARK_AT, OWNERS_AT, PROBES, ROW_BYTES, SEGMENT_BYTES, SLOTS, VERSION,
)

WAIT_S = 1.0
"""How long another process may keep the directory; it is kept for microseconds, unless its holder was stopped."""
SLICE = 128
"""Entries that ``bury`` looks at before it lets others have the directory."""
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
PLAIN = (str, bytes, int, float, type(None))


class ArenaError(Exception):
    """The arena cannot be used, or is full; the text says what was expected."""


class Cell:
    """A claimed cell: where in ``arena.memory`` its locks, rows and body begin. ``release`` ends the claim."""

    __slots__ = ("arena", "index", "digest", "locks", "rows", "body", "claims")

    def __init__(self, arena: "Arena", index: int) -> None:
        digest, _, start, _, locks, rows = arena.entry(index)
        self.arena = arena
        self.index = index
        self.digest = digest
        self.locks = start
        self.rows = start + locks * LOCK_BYTES
        self.body = self.rows + rows * ROW_BYTES
        self.claims = 0

    def release(self) -> None:
        """Give the claim back. This process's last one takes its counts away, the host's last one frees the memory."""
        self.arena.release(self)


class Arena:
    """``memory`` is the segment, ``words`` and ``longs`` the same as 32 and 64 bits; ``slot`` is None in a supervisor.

    Bounds: some 14,000 cells (``ENTRIES``, ``PROBES``) and the bytes given to ``create``; pages that nobody touched
    take no memory.
    """

    def __init__(self, fd: int, slot: int | None = None) -> None:
        self.fd = fd
        self.slot = slot
        self.memory = mmap.mmap(fd, os.fstat(fd).st_size)
        self.words = memoryview(self.memory).cast("I")
        self.longs = memoryview(self.memory).cast("Q")
        self.secret = HEADER.unpack_from(self.memory)[4]
        self._cells: dict[bytes, Cell] = {}

    @classmethod
    def create(cls, size_bytes: int = SEGMENT_BYTES) -> "Arena":
        """Make an arena of ``size_bytes``; its descriptor is ``fd``, to be passed on to workers."""
        size = LARGE_AT + -(-max(0, size_bytes - LARGE_AT) // LARGE_STEP) * LARGE_STEP
        fd = os.memfd_create("meshd-cells", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
        os.pwrite(fd, HEADER.pack(MAGIC, VERSION, 0, size, os.urandom(16)), 0)
        return cls(fd)

    @classmethod
    def open(cls, fd: int, slot: int | None = None, locking: str = "") -> "Arena":
        """Open the arena behind ``fd`` as the process with ``slot`` (None: a supervisor, which has no counts).

        ``locking`` is how this process locks, ``compiled`` or ``pure``; the first worker decides for all. Raises
        ArenaError where the layout or the locking is another: make a new arena then.
        """
        check_layout(fd)
        if slot is not None and not 0 <= slot < SLOTS:
            raise ArenaError(f"arena: slot {slot}: expected 0 to {SLOTS - 1}")
        os.set_inheritable(fd, False)
        arena = cls(fd, slot)
        with arena.directory():
            arena._settle(locking)
            if slot is not None:
                arena.words[MARK_AT // 4] = max(arena.words[MARK_AT // 4], slot + 1)
        return arena

    def close(self) -> None:
        """Close the descriptor; the memory goes with the last object over it. What was claimed must be released."""
        self.words.release()
        self.longs.release()
        os.close(self.fd)

    def _settle(self, locking: str) -> None:
        """Set which locks rule, or refuse to use others."""
        at = LOCKING_AT // 4
        ruling = LOCKINGS[self.words[at]]
        if locking and not ruling:
            self.words[at] = LOCKINGS.index(locking)
        elif locking and locking != ruling:
            raise ArenaError(f"arena: locking {locking!r}: expected {ruling!r}, which the others of this arena have")

    @contextmanager
    def directory(self) -> Iterator[None]:
        """Hold the directory; raises ArenaError where another process keeps it for over ``WAIT_S``."""
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, DIRECTORY_AT)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ArenaError(f"arena: directory: kept by another process for over {WAIT_S:g} s") from None
                time.sleep(0.0005)
        try:
            yield
        finally:
            fcntl.lockf(self.fd, fcntl.LOCK_UN, 1, DIRECTORY_AT)

    def reserve(self) -> int:
        """Return a free slot for a process to be started, noted as reserved by this one; raises ArenaError."""
        with self.directory():
            for slot in range(SLOTS):
                if self.words[OWNERS_AT // 4 + slot] == 0:
                    self.words[OWNERS_AT // 4 + slot] = os.getpid()
                    return slot
        raise ArenaError(f"arena: all {SLOTS} slots are in use: expected one to be buried")

    def reserved(self, pid: int) -> list[int]:
        """Return the slots that the process ``pid`` reserved; another has to bury them where it is dead too."""
        owners = self.words[OWNERS_AT // 4:OWNERS_AT // 4 + SLOTS]
        return [slot for slot, owner in enumerate(owners) if owner == pid]

    def bury(self, slot: int) -> None:
        """Take away what the process with ``slot`` owned, and free the slot; call it once the process was reaped.

        Its counts become 0, its claims end, a lock that it held is free. May be done again where it was interrupted.
        """
        bit = 1 << slot
        for first in range(0, ENTRIES, SLICE):
            with self.directory():
                for index in range(first, first + SLICE):
                    if self.longs[claims_at(index)] & bit:
                        self._leave(index, slot)
        self.words[OWNERS_AT // 4 + slot] = 0

    def entry(self, index: int) -> tuple:
        """Return an entry of the directory: digest, claims, where its cell begins, bytes, locks, rows."""
        return ENTRY.unpack_from(self.memory, DIRECTORY_AT + index * ENTRY_BYTES)

    def used(self) -> int:
        """Return how many cells there are."""
        return sum(claims != 0 for claims in self.longs[claims_at(0):claims_at(ENTRIES):ENTRY_BYTES // 8])

    def digest(self, key: Hashable) -> bytes:
        """Return 16 bytes for a key of text, bytes, numbers, None and tuples of these; raises TypeError on others.

        They depend on the arena's secret: who sends keys (clients do) cannot choose where they fall.
        """
        from hashlib import blake2b  # not at the top: it brings OpenSSL, and a supervisor has no keys

        check_plain(key)
        return blake2b(repr(key).encode("utf-8", "backslashreplace"), digest_size=16, key=self.secret).digest()

    def claim(self, key: Hashable, *, locks: int = 0, rows: int = 0, body_bytes: int = 0) -> Cell:
        """Return the cell of ``key`` and this shape, claimed for this process; a new one holds zeros.

        Raises ArenaError where the arena is full, TypeError on a key that has no stable text.
        """
        digest = self.digest((key, locks, rows, body_bytes))
        cell = self._cells.get(digest)
        if cell is None:
            size = locks * LOCK_BYTES + rows * ROW_BYTES + body_bytes
            with self.directory():
                index, is_found = self._find(digest)
                if not is_found:
                    self._place(index, digest, size, locks, rows)
                self.longs[claims_at(index)] |= 1 << self.slot
            cell = self._cells[digest] = Cell(self, index)
        cell.claims += 1
        return cell

    def release(self, cell: Cell) -> None:
        """Give one claim back (``Cell.release``)."""
        cell.claims -= 1
        if cell.claims == 0:
            del self._cells[cell.digest]
            with self.directory():
                self._leave(cell.index, self.slot)

    def _find(self, digest: bytes) -> tuple[int, bool]:
        """Return (entry, whether it holds ``digest``); where none does, one that is free."""
        free = None
        for step in range(PROBES):
            index = (home_of(digest) + step) % ENTRIES
            known, claims = self.entry(index)[:2]
            if claims == 0:
                free = index if free is None else free
                if not any(known):
                    break
            elif known == digest:
                return index, True
        if free is None:
            raise ArenaError(f"arena: {self.used()} cells are in use: expected fewer clusters, listeners and tables")
        return free, False

    def _place(self, index: int, digest: bytes, size: int, locks: int, rows: int) -> None:
        """Describe a new cell of zeros in a free entry; it is in use as soon as somebody claims it."""
        if size <= BLOCK_BYTES:
            start = BLOCKS_AT + index * BLOCK_BYTES
        else:
            size = -(-size // LARGE_STEP) * LARGE_STEP
            start = self._gap(size)
        self._clear(start, size)
        ENTRY.pack_into(self.memory, DIRECTORY_AT + index * ENTRY_BYTES, digest, 0, start, size, locks, rows)

    def _gap(self, size: int) -> int:
        """Return where ``size`` bytes are free in the large space: the first such place."""
        entries = (self.entry(index) for index in range(ENTRIES) if self.longs[claims_at(index)])
        start = LARGE_AT
        for _, _, other, length, _, _ in sorted(entries, key=lambda row: row[2]):
            if other >= start + size:
                break
            if other >= LARGE_AT:
                start = other + length
        if start + size > len(self.memory):
            raise ArenaError(f"arena: no room for {size} bytes of {len(self.memory)}: expected smaller tables")
        return start

    def _clear(self, start: int, size: int) -> None:
        if size > BLOCK_BYTES:
            self.memory.madvise(mmap.MADV_REMOVE, start, size)  # the memory goes back, what is read there is zeros
        else:
            self.memory[start:start + size] = bytes(size)

    def _leave(self, index: int, slot: int) -> None:
        """Take away what ``slot`` has in a cell, its claim last."""
        _, claims, start, size, locks, rows = self.entry(index)
        first_row = start + locks * LOCK_BYTES
        for row in range(rows):
            self.words[(first_row + row * ROW_BYTES) // 4 + slot] = 0
        for lock in range(locks):
            if self.words[(start + lock * LOCK_BYTES) // 4] == slot + 1:
                self.words[(start + lock * LOCK_BYTES) // 4] = 0
        claims &= ~(1 << slot)
        if claims == 0 and size > BLOCK_BYTES:
            self._clear(start, size)
        self.longs[claims_at(index)] = claims
        if claims == 0:
            self._forget(index)

    def _forget(self, index: int) -> None:
        """Let a search end at this entry and the free ones before it, where it would end at the next one anyway."""
        if any(self.entry((index + 1) % ENTRIES)[0]):
            return
        while self.longs[claims_at(index)] == 0 and any(self.entry(index)[0]):
            start = DIRECTORY_AT + index * ENTRY_BYTES
            self.memory[start:start + 16] = bytes(16)
            index = (index - 1) % ENTRIES


def home_of(digest: bytes) -> int:
    """Return the entry where the search for a digest begins."""
    return int.from_bytes(digest[:8], "little") % ENTRIES


def claims_at(index: int) -> int:
    """Return the place of an entry's claims among the 64-bit words."""
    return (DIRECTORY_AT + index * ENTRY_BYTES + CLAIMS_AT) // 8


def check_layout(fd: int) -> None:
    """Raise ArenaError unless ``fd`` is an arena that this code understands."""
    try:
        header = os.pread(fd, HEADER.size, 0)
        size = os.fstat(fd).st_size
    except OSError as error:
        raise ArenaError(f"arena: descriptor {fd}: {error.strerror.lower()}") from None
    if len(header) < HEADER.size or not header.startswith(MAGIC):
        raise ArenaError(f"arena: descriptor {fd}: expected the memory of meshd's cells")
    _, version, _, bytes_, _ = HEADER.unpack(header)
    if version != VERSION or bytes_ != size:
        raise ArenaError(f"arena: layout version {version}, {size} bytes: expected version {VERSION}, {bytes_} bytes")


def check_plain(key: object) -> None:
    """Raise TypeError where the text of ``key`` may differ between processes."""
    if isinstance(key, tuple):
        for part in key:
            check_plain(part)
    elif not isinstance(key, PLAIN):
        raise TypeError(f"arena: key {key!r}: expected text, bytes, numbers, None and tuples of these")
