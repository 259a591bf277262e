"""``site``: the world that is handed to a plugin's constructor. Nothing else is reached for."""

from zope.interface import Attribute, Interface


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

        It outlives the runtime and ends when no runtime claims it. ``scope`` is ``worker`` or ``host``.
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
