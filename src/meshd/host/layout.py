"""Where what stands in the shared segment; ``meshd.host.arena`` reads and writes it, and nobody else does.

Header, directory, small blocks, large space. A *cell* is lines of locks (64 bytes each, the lock word first), rows of
counts (a 32-bit word for each slot) and a body that only its user understands. An entry of the directory owns the
small block with its own number; a cell that is too large for it stands in the large space.
"""

import struct

MAGIC = b"meshdcel"
VERSION = 1
"""Changes with anything that is laid down here or in the leaves over cells (``hot/ledger``, ``hot/shared_bucket``)."""
SLOTS = 64
"""Processes that may use one arena at a time: a bit of a claim for each."""

HEADER = struct.Struct("=8sIIQ16s")
"""Magic, version, bytes of a page (an unused word), bytes of the segment, secret of the digests."""
LOCKING_AT = 64
"""Which locks rule: 0 until the first worker comes, then a number of ``LOCKINGS``."""
MARK_AT = 68
"""One more than the highest slot that was ever used: as far as a row has to be read."""
OWNERS_AT = 256
"""A word for each slot: the process that reserved it, 0 where it is free."""
LOCKINGS = ("", "compiled", "pure")

ENTRIES = 16384
PROBES = 256
"""Entries in a row that may hold a key, so that a search has a bound; by about 14,000 cells some key finds no place."""
ENTRY = struct.Struct("=16sQQQII")
"""Digest, claims, where the cell begins, its bytes, locks, rows."""
ENTRY_BYTES = 64
CLAIMS_AT = 16
"""Of an entry; a word of 64 bits that is written at once: it says whether the entry is in use."""
LOCK_BYTES = 64
"""A cache line: workers that wait for one lock do not slow the next."""
ROW_BYTES = 4 * SLOTS
BLOCK_BYTES = 2048
DIRECTORY_AT = 65536
BLOCKS_AT = DIRECTORY_AT + ENTRIES * ENTRY_BYTES
LARGE_AT = BLOCKS_AT + ENTRIES * BLOCK_BYTES
LARGE_STEP = 65536
"""Large cells begin at multiples of the largest page of Linux' architectures, so that whole pages can be given back."""
SEGMENT_BYTES = 1 << 30
"""The default: room for ten tables of a million buckets. What is never touched takes no memory."""
