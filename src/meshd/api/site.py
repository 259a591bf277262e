"""``site``: the world that is handed to a plugin's constructor. Nothing else is reached for."""

from zope.interface import Attribute, Interface, classImplements

from meshd.hot.bucket import Buckets
from meshd.hot.ledger import Ledger, SharedLedger
from meshd.hot.shared_bucket import SharedBuckets


class ISite(Interface):
    """One per plugin instance; ``name`` and ``log`` are its own, the rest is shared."""

    name = Attribute("str: the instance's name; for a plugin of a cluster the cluster's name")
    owner = Attribute(
        "str: 'listener NAME', 'listener NAME: filter chain NAME', 'cluster NAME', '' mesh-wide; belongs in keys of "
        "its own state")
    node = Attribute("meshd.model.snapshot.Node")
    clock = Attribute("now() -> monotonic s; wall() -> epoch s; call_later(seconds, f, *args) -> cancellable")
    random = Attribute("random.Random, the process's; never use the random module's own functions")
    log = Attribute("twisted.logger.Logger with the plugin's name as namespace")
    metrics = Attribute("IMetrics")
    environment = Attribute("Mapping: the process's environment")
    reactor = Attribute("Twisted's reactor, for what Twisted has of its own (DNS, inotify); time is the clock's")

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

    def call(cluster, request):
        """Send a CallRequest to the cluster of this name, as the runtime in force has it; the only way out for plugins.

        Return a Deferred of a CallAnswer, whatever its status; it fails with CallError where there is none. Cancelling
        it aborts the request. Balancer, circuit breaker, pools and counters are the cluster's; nothing is retried but
        a request that an idle connection no longer took. Not at build time.
        """

    def connect(cluster, receiver, address=""):
        """Return an IStream to an endpoint of the cluster of this name: the balancer's choice, or the one at
        ``address``. The cluster's circuit breaker, connect timeout and counters apply; raises KeyError.

        ``receiver`` has ``opened()``, ``received(data)`` and ``lost(reason)``, and may have ``drained()``. ``lost``
        comes once, last, and never from within ``connect``; it also tells that nothing could be opened.
        """

    def pace_response(exchange, bytes_per_s):
        """Let the body of the answer leave at so many bytes a second; the upstream is read no faster. Only within
        on_response. Return what has ``cancel()``, which the filter calls in on_complete.
        """

    def endpoint(cluster, spec, name):
        """Return an IEndpoint made for an EndpointSpec while requests come in, for a balancer's ``pick``.

        ``cluster`` is ``site.cluster(site.name)``, to be asked for in ``start()``. ``name`` says where connections go:
        ``ask(then)`` calls ``then()`` once it knows, ``next_target()`` returns (family, sockaddr) or None, ``reason``
        is why there is none. It counts as the cluster's until ``retire``.
        """

    def retire(endpoint):
        """Let go of an endpoint of ``endpoint()``: what is idle closes now, the rest when it is done."""

    def peers(topic):
        """Return the IPeers of ``topic`` (str): the same plugin in the other workers of this host."""

    def is_ready():
        """Say whether traffic should come to this proxy: no drain has begun, /healthcheck/fail has not been called."""

    def dial(address, receiver, timeout_s, host="", alpn=()):
        """Open a connection of the plugin's own to HOST:PORT or unix:PATH, past clusters; for checks of endpoints.

        ``receiver`` has ``opened()``, ``received(data)`` and ``lost(reason)``; the last comes once, also where nothing
        could be opened within ``timeout_s``, perhaps before this returns. What is returned has ``send(data)``,
        ``close()`` and ``receiver``, which may be replaced. For a health checker the cluster's TLS is spoken, which
        asks for ``host`` and offers ``alpn`` (a tuple of str) where the cluster says nothing else.
        """

    def build(plugin):
        """Build another configured ``Plugin`` (an authenticator in a filter, say) and return the object."""

    def resolve(host):
        """Return a Deferred of a list of addresses (str)."""

    def in_thread(function, *args):
        """Run ``function(*args)``, which may block, in a thread; return a Deferred of its result. Few may wait."""

    def on_reopen(callback):
        """Call ``callback()`` on SIGUSR1 for as long as the plugin is in use."""


class IStream(Interface):
    """A byte connection of a plugin's. Not pooled, and not opened again when it is lost."""

    address = Attribute("str: the endpoint's, '' where none could be picked")
    pending_bytes = Attribute("int: bytes that wait for the kernel; whoever sends much stops here, until drained()")

    def send(data):
        """Write bytes; of no effect before ``opened()`` and after the end."""

    def pause():
        """Read no more for now."""

    def resume():
        """Read again."""

    def half_close():
        """Say that nothing more will be sent, once what waits has been; what the other side still says is received."""

    def close():
        """Give it up; what waits for the kernel is dropped, and the receiver hears no more."""


class IPeers(Interface):
    """Messages between the workers of one host, in the order in which each worker tells them; nothing is kept."""

    are_there = Attribute("bool: there are other workers")

    def begin(listener):
        """Call ``listener(message)`` for what another worker tells, until ``end()``. Call it in ``start``."""

    def tell(message):
        """Tell all others ``message``, a dict ready for JSON."""

    def end():
        """Listen no more."""


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
