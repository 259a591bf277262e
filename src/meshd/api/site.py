"""``site``: the world that is handed to a plugin's constructor. Nothing else is reached for."""

from zope.interface import Attribute, Interface, classImplements

from meshd.hot.bucket import Buckets
from meshd.hot.ledger import Ledger, SharedLedger
from meshd.hot.shared_bucket import SharedBuckets


class ISite(Interface):
    """One per plugin instance; ``name`` and ``log`` are its own, the rest is shared."""

    name = Attribute("str: the instance's name; for a plugin of a cluster the cluster's name")
    owner = Attribute("str: 'listener NAME', 'cluster NAME', '' mesh-wide; belongs in keys of its own state")
    node = Attribute("meshd.model.snapshot.Node")
    clock = Attribute("now() -> monotonic s; wall() -> epoch s; call_later(seconds, f, *args) -> cancellable")
    random = Attribute("random.Random, the process's; never use the random module's own functions")
    log = Attribute("twisted.logger.Logger with the plugin's name as namespace")
    metrics = Attribute("IMetrics")
    environment = Attribute("Mapping: the process's environment")

    def state(scope, key, factory):
        """Return the cell of ``key`` (a hashable: kind, owner, address, meaning), made by ``factory()`` if need be.

        It outlives the runtime and ends when no runtime claims it. ``scope`` is ``worker``, or ``host`` for what shares
        its contents with the other workers by means of its own: the object is this process's in both cases.
        """

    def ledger(key, size):
        """Return the ILedger of ``key`` with ``size`` counts, the same for all workers of this host; kept as state is.

        ``key`` is text, bytes, numbers, None or a tuple of these: kind, owner, meaning. Ask at build time.
        """

    def buckets(key, max_keys):
        """Return the IBuckets of ``key``, the same for all workers of this host; kept as state is.

        With another ``max_keys`` it is another table.
        """

    def cluster(name):
        """Return the live cluster ``name`` of the runtime under construction; raises KeyError."""

    def build(plugin):
        """Build another configured ``Plugin`` (an authenticator in a filter, say) and return the object."""

    def resolve(host):
        """Return a Deferred of a list of addresses (str)."""

    def in_thread(function, *args):
        """Run ``function(*args)``, which may block, in a thread; return a Deferred of its result. Few may wait."""

    def on_reopen(callback):
        """Call ``callback()`` on SIGUSR1 for as long as the plugin is in use."""


class ILedger(Interface):
    """Counts with limits: a limit of L admits L, over all workers of this host together.

    An index is 0 to ``size - 1``, others raise IndexError. What a worker took ends with the worker. To be called from
    the reactor's thread.
    """

    size = Attribute("int: how many counts there are")

    def take(index, limit):
        """Count one more unless ``limit`` are in use on this host; return whether it was."""

    def give(index):
        """Count one less; only what this worker has taken can be given."""

    def used(index):
        """Return how many are in use on this host."""


class IBuckets(Interface):
    """Token buckets by key; ``len()`` says how many are kept, on this host. To be called from the reactor's thread."""

    evicted = Attribute("int: buckets that this worker gave up because too many keys were in use")

    def find(key, rate_per_s, burst, now):
        """Return the bucket of ``key`` (text, bytes, a number, None) for one request, with the face of TokenBucket.

        A new one is full. Other limits than before apply at once; the level is kept, at most the new burst. ``now``
        is ``site.clock.now()``, which all processes of a host have in common.
        """


for _class in (Ledger, SharedLedger):
    classImplements(_class, ILedger)
for _class in (Buckets, SharedBuckets):
    classImplements(_class, IBuckets)


class IMetrics(Interface):
    """Families of cells. Ask at build time, keep the cell. Same name and labels give the same cell.

    Names are written as given: a counter's name ends in ``_total``. Label values are text from bounded sets, in the
    order of ``labels``; None leaves a label out. ``scope`` says what several workers' numbers are together: those of
    ``worker`` are added up; a ``host`` number is the same in each, and written once.
    A series that stands still for an hour ends, unless somebody keeps its cell.
    """

    def counter(name, doc, labels=(), scope="worker"):
        """Return a Family; ``family.cell(*values)`` has ``value`` and ``inc(amount=1)``."""

    def gauge(name, doc, labels=(), scope="worker"):
        """Return a Family of cells with ``value``, ``inc``, ``dec``, ``set``; or ``family.function(f, *values)``."""

    def histogram(name, doc, labels=(), bounds=(), scope="worker"):
        """Return a Family of cells with ``observe(value)``."""

    def collector(registry):
        """Add a prometheus_client CollectorRegistry of the plugin's own to /metrics."""
