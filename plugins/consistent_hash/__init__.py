"""The load balancers ``ring_hash`` and ``maglev``: requests of the same key come to the same endpoint.

What makes tables is imported where one of them is configured.
"""

from functools import partial

from meshd.api import Integer, PluginType, Text, config, hookimpl, option
from meshd_plugins.consistent_hash.balancer import ConsistentHash
from meshd_plugins.consistent_hash.key import RULES, HashRule, key_function

MAX_RING = 8 * 2**20
MAX_TABLE = 5_000_011
HASH_DOC = "what the key is made of (without a key, any endpoint)"
LABEL_DOC = "label of an endpoint that stands for it in place of its address, where it has one (Envoy's hash_key)"


@config
class RingHashOptions:
    """A ring of virtual nodes; an endpoint more or less moves only its own share of the keys."""

    hash: tuple[HashRule, ...] = option(RULES, default=(), doc=HASH_DOC)
    minimum_ring_size: int = option(
        Integer(minimum=1, maximum=MAX_RING), default=1024, doc="virtual nodes at least (Envoy's default)")
    maximum_ring_size: int = option(
        Integer(minimum=1, maximum=MAX_RING), default=MAX_RING, doc="virtual nodes at most; 12 bytes each")
    hash_key_label: str | None = option(Text(minimum=1), default=None, doc=LABEL_DOC)

    def check(self):
        """Yield a fault where the sizes contradict each other."""
        if self.minimum_ring_size > self.maximum_ring_size:
            yield "minimum_ring_size", f"expected at most maximum_ring_size, {self.maximum_ring_size}"


@config
class MaglevOptions:
    """A table in which all endpoints have equal parts, by weight; more even than a ring."""

    hash: tuple[HashRule, ...] = option(RULES, default=(), doc=HASH_DOC)
    table_size: int = option(
        Integer(minimum=2, maximum=MAX_TABLE), default=65537,
        doc="slots, a prime number, some hundred times the number of endpoints (Envoy's default)")
    hash_key_label: str | None = option(Text(minimum=1), default=None, doc=LABEL_DOC)

    def check(self):
        """Yield a fault where the size is no prime."""
        if not is_prime(self.table_size):
            yield "table_size", f"expected a prime number, got {self.table_size}"


def is_prime(number):
    """Say whether a number over 1 has no divisor."""
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def build_ring(config, site):
    """Return the balancer ``ring_hash``."""
    from meshd_plugins.consistent_hash.table import make_ring

    config = config or RingHashOptions()
    make = partial(make_ring, minimum=config.minimum_ring_size, maximum=config.maximum_ring_size)
    return ConsistentHash(make, key_function(config.hash, site.random), config.hash_key_label, site)


def build_maglev(config, site):
    """Return the balancer ``maglev``."""
    from meshd_plugins.consistent_hash.table import make_maglev

    config = config or MaglevOptions()
    make = partial(make_maglev, size=config.table_size)
    return ConsistentHash(make, key_function(config.hash, site.random), config.hash_key_label, site)


@hookimpl
def meshd_plugins():
    """Offer the balancers."""
    return [
        PluginType(kind="load_balancer", name="ring_hash", config=RingHashOptions, build=build_ring,
                   doc="The same key to the same endpoint: a ring of virtual nodes (xxHash64)."),
        PluginType(kind="load_balancer", name="maglev", config=MaglevOptions, build=build_maglev,
                   doc="The same key to the same endpoint: Maglev's table, with even parts."),
    ]
