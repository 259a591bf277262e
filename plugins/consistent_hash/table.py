# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The tables of ``ring_hash`` and ``maglev``: from a key (64 bits) to the place of an endpoint, as Envoy fills them.

Strategy: tables are made by generators that yield after each small piece of work (some 0.5 ms) and return the table; it
never changes again. Hashes are xxHash64. A ring is sorted by buckets: as hashes are uniform, the first bits of a key
say where to look, and each bucket has four entries or so. docs/formulas.md has how many nodes there are. ``table.pxd``
types it for the compiled build.
"""

from array import array
from math import ceil
from mmap import mmap

from xxhash import xxh64_intdigest as xxh64

CHUNK = 500
"""Endpoints or virtual nodes between two yields."""
STEPS = 4000
"""Steps of an inner loop between two yields."""
LARGE_BYTES = 2**20
"""From here on memory is mapped, which costs nothing until it is touched."""


def zeros(code, count):
    """Return ``count`` numbers of an array's type ``code``."""
    size = array(code).itemsize * max(count, 1)
    if size >= LARGE_BYTES:
        return memoryview(mmap(-1, size)).cast(code)
    return array(code, bytes(size))


def ring_scale(weights, minimum, maximum):
    """Return the number of virtual nodes for all endpoints together, not rounded (Envoy's ``scale``).

    ``min(ceil(w * minimum) / w, maximum)`` with w the smallest of ``weights``, whose sum is 1: the lightest endpoint
    gets a whole number of them.
    """
    least = min(weights)
    return min(ceil(least * minimum) / least, float(maximum))


def normalized(weights):
    """Return the weights as shares of their sum."""
    total = sum(weights)
    return [weight * 1.0 / total for weight in weights]


def make_ring(keys, weights, minimum, maximum):
    """Return the Ring of endpoints with these keys (bytes) and weights, at the end of its slices.

    Virtual node i of an endpoint stands at ``xxHash64(KEY_i)``; running sums decide how many it has.
    """
    shares = normalized(weights)
    scale = ring_scale(shares, minimum, maximum)
    hashes, owners = array("Q"), array("I")
    made = target = 0.0
    for owner, key in enumerate(keys):
        target += scale * shares[owner]
        start, replica = key + b"_", 0
        while made < target:
            hashes.append(xxh64(start + b"%d" % replica))
            owners.append(owner)
            replica += 1
            made += 1.0
            if not len(owners) % CHUNK:
                yield
    ring = Ring(hashes, owners)
    while not ring.work(STEPS):
        yield
    return ring


class Ring:
    """``find`` works once ``work`` has answered True."""

    def __init__(self, hashes, owners):
        self.count = len(owners)
        self.raw, self.raw_owners = hashes, owners
        self.bits = max(self.count // 4, 1).bit_length()
        self.shift = 64 - self.bits
        self.buckets = 1 << self.bits
        self.starts = zeros("q", self.buckets + 1)
        self.hashes, self.owners = zeros("Q", self.count), zeros("I", self.count)
        self.phase = self.at = 0

    def __len__(self):
        """Return the number of virtual nodes."""
        return self.count

    def work(self, steps):
        """Go on sorting for so many steps; say whether all is done: count, sum up, lay out, sort each bucket."""
        if self.phase == 0:
            self.count_some(steps)
        elif self.phase == 1:
            self.sum_some(steps)
        elif self.phase == 2:
            self.place_some(steps)
        elif self.phase == 3:
            self.sort_some(steps)
        return self.phase == 4

    def count_some(self, steps):
        end = min(self.at + steps, self.count)
        for index in range(self.at, end):
            self.starts[self.raw[index] >> self.shift] += 1
        self.turn(end, self.count)

    def sum_some(self, steps):
        """Each bucket's start becomes its end: laying out counts it down again."""
        end = min(self.at + steps, self.buckets)
        before = self.starts[self.at - 1] if self.at else 0
        for index in range(self.at, end):
            before += self.starts[index]
            self.starts[index] = before
        self.turn(end, self.buckets)

    def place_some(self, steps):
        end = min(self.at + steps, self.count)
        for index in range(self.at, end):
            bucket = self.raw[index] >> self.shift
            place = self.starts[bucket] - 1
            self.starts[bucket] = place
            self.hashes[place] = self.raw[index]
            self.owners[place] = self.raw_owners[index]
        self.turn(end, self.count)

    def sort_some(self, steps):
        """Insert each entry where it belongs among those before it, which never goes beyond its bucket."""
        end = min(self.at + steps, self.count)
        for index in range(self.at, end):
            value, owner = self.hashes[index], self.owners[index]
            place = index
            while place > 0 and self.hashes[place - 1] > value:
                self.hashes[place] = self.hashes[place - 1]
                self.owners[place] = self.owners[place - 1]
                place -= 1
            self.hashes[place], self.owners[place] = value, owner
        self.turn(end, self.count)
        if self.phase == 4:
            self.starts[self.buckets] = self.count
            self.raw = self.raw_owners = None

    def turn(self, end, last):
        self.at = end
        if end == last:
            self.phase += 1
            self.at = 0

    def find(self, key, attempt):
        """Return the place of the endpoint at ``key``: the first hash that is not less, round the ring; for a further
        ``attempt`` so many entries on.
        """
        index = self.starts[key >> self.shift]
        while index < self.count and self.hashes[index] < key:
            index += 1
        if index == self.count:
            index = 0
        if attempt:
            index = (index + attempt) % self.count
        return self.owners[index]


def make_maglev(keys, weights, size):
    """Return the Maglev table of endpoints with these keys (bytes) and weights, at the end of its slices.

    Endpoints take turns in the order of their keys; ``size`` is prime.
    """
    order = list(range(len(keys)))
    for start in range(0, len(order), CHUNK):
        order[start:start + CHUNK] = sorted(order[start:start + CHUNK], key=keys.__getitem__)
        yield
    order.sort(key=keys.__getitem__)
    yield
    shares = normalized(weights)
    table = Maglev(size, len(keys), max(shares))
    for start in range(0, len(order), CHUNK):
        for owner in order[start:start + CHUNK]:
            key = keys[owner]
            table.add(owner, xxh64(key) % size, xxh64(key, 1) % (size - 1) + 1, shares[owner])
        yield
    while not table.work(STEPS):
        yield
    return table


class Maglev:
    """``find`` works once ``work`` has answered True. The table of the paper (Eisenbud et al., NSDI 2016, listing 1),
    with Envoy's weights: an endpoint has a turn in round n where ``n * weight`` has come up to its target.
    """

    def __init__(self, size, count, greatest):
        self.size = size
        self.count = self.at = self.filled = 0
        self.round = 1
        self.greatest = greatest
        self.is_probing = False
        self.slots = zeros("I", size)
        self.offsets, self.skips, self.owners = zeros("q", count), zeros("q", count), zeros("I", count)
        self.weights, self.targets = zeros("d", count), zeros("d", count)

    def __len__(self):
        """Return the number of slots."""
        return self.size

    def add(self, owner, offset, skip, weight):
        """Add an endpoint: the next in turn."""
        self.owners[self.count] = owner
        self.offsets[self.count], self.skips[self.count], self.weights[self.count] = offset, skip, weight
        self.count += 1

    def work(self, steps):
        """Go on for so many steps; say whether every slot is taken. A free slot is 0, a taken one 1 + the owner."""
        while steps > 0 and self.filled < self.size:
            steps -= 1
            at = self.at
            if not self.is_probing:
                if self.round * self.weights[at] < self.targets[at]:
                    self.pass_on()
                    continue
                self.targets[at] += self.greatest
                self.is_probing = True
            place = self.offsets[at]
            following = place + self.skips[at]
            self.offsets[at] = following - self.size if following >= self.size else following
            if self.slots[place] == 0:
                self.slots[place] = self.owners[at] + 1
                self.filled += 1
                self.is_probing = False
                self.pass_on()
        return self.filled == self.size

    def pass_on(self):
        self.at += 1
        if self.at == self.count:
            self.at = 0
            self.round += 1

    def find(self, key, attempt):
        """Return the place of the endpoint at ``key``; a further ``attempt`` changes the key's upper bits (Envoy's)."""
        if attempt:
            key ^= 2**64 - attempt
        return self.slots[key % self.size] - 1
