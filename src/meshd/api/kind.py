"""The plugin kinds: one zope.interface Interface each. The contract suites stand in ``meshd.testing.contract``.

Every object that ``build(config, site)`` returns may also have ``start()`` (run at the swap; may return a Deferred) and
``stop()`` (run after the last request of the old runtime). ``build`` opens, starts and schedules nothing; it may be a
generator that yields between slices of work of at most 2 ms and returns the object.
"""

from zope.interface import Attribute, Interface

from meshd.api.connection import IArrival, IListenerFilter, INetworkFilter, ISession


class IHttpFilter(Interface):
    """A filter of the HTTP chain. One object serves every request of a chain; requests are told apart by ``exchange``.

    All methods are optional but one of them; a filter without ``on_response`` costs nothing on the way back.
    ``on_request`` answers CONTINUE, STOP (after ``exchange.reply``), or a Deferred or coroutine of either.

    A filter may also have ``explain(exchange)``, for ``meshctl explain``: return a sentence (str) on what it would do
    with this request, at once and without any effect. ``exchange`` is a view: the head is a copy that may be changed as
    ``on_request`` would, and ``reply`` notes what would be answered.
    """

    def on_request(exchange):
        """The request's head is here. Return CONTINUE, STOP, or a Deferred or coroutine of either."""

    def on_response(exchange):
        """``exchange.response`` is here (also a local reply); change its head. Runs in the reverse order.

        Returns None, or a Deferred or coroutine of None: head and body then wait for it.
        """

    def on_complete(exchange):
        """The exchange has ended, however it did. Returns None."""


class ITerminalFilter(IHttpFilter):
    """The last filter of a chain: the router. Its ``explain``, where it has one, returns a dict ready for JSON, or is a
    generator that returns one; ``on_request`` then does nothing but ``forward`` or ``reply``. Where chance decides,
    ``outcomes`` in that dict are (percent, callable(exchange)) pairs that are called in the place of ``on_request``.
    """

    def match(exchange):
        """Return the route (``IRoute``) of the request as it is now, or None. Pure: called when ``exchange.route`` is
        first read.
        """


class IRoute(Interface):
    """What the router found; kept in ``exchange.route``."""

    name = Attribute("str, for logs")
    virtual_host = Attribute("str")
    overrides = Attribute("dict: filter instance name -> Plugin (its config for this route), None where it is disabled")


class ILoadBalancer(Interface):
    """Picks endpoints of one group of a cluster: those of one priority, locality and state of health.

    May also have ``another()``, which returns a balancer of the same settings without endpoints, for a further group (a
    cluster whose balancer has none uses the group with the largest share alone); ``key(exchange)``, a whole number or
    None, by which priorities and localities are drawn in place of chance, so that one key stays where it is; and
    ``on_result(endpoint, outcome)`` as outlier detectors have it, asked of the cluster's first balancer for all groups.
    """

    def update(endpoints):
        """The usable endpoints (tuple of ``IEndpoint``) are these from now on, or have other weights. Called before the
        first ``pick``; must not take longer than 2 ms, or go on in slices beside the picks.
        """

    def pick(exchange):
        """Return one of them, or None where there is none. ``exchange.tried`` (tuple) holds the endpoints of earlier
        attempts.
        """


class IEndpoint(Interface):
    """Read view of one address of a cluster."""

    address = Attribute("str: HOST:PORT or unix:PATH")
    weight = Attribute("number > 0: its share in force, less than configured while it warms up")
    active = Attribute("int: requests in flight to it from this worker")
    healthy = Attribute("bool: it may be used")
    bits = Attribute("int: its health flags, meshd.api.health")
    memo = Attribute("what its balancer remembers of it; None at first")
    labels = Attribute("tuple of (key, value)")
    locality = Attribute("str")
    priority = Attribute("int")


class IRetryPolicy(Interface):
    """Decides whether a failed attempt is made again. Built once per route; no state of a request in it."""

    body_limit_bytes = Attribute("int: request bodies up to this are kept for another attempt")
    judges_responses = Attribute("bool: judge() wants to see answers too, not only failures")

    def judge(exchange, outcome):
        """Return seconds to wait before the next attempt, None to let ``outcome`` stand, or a negative number to let it
        stand because no attempt is left (flag ``URX``).

        ``outcome.status`` is the upstream's status or 0; ``outcome.headers`` its Headers or None; ``outcome.flag`` is a
        response flag (0 with a status), ``outcome.began`` says whether any byte of the request had been sent.
        ``exchange.attempts`` counts the attempts made so far (1 after the first). ``outcome.reason`` is ``hedge`` where
        the attempt goes on beside the next one.
        """

    # optional: judges_trailers (bool): ``outcome.headers`` may be the trailers of a gRPC call, where nothing of its
    # answer has been passed on; wants(exchange, outcome) says whether another attempt would be made if there were one
    # left; asked(fields) returns the policy for a request with these fields (dict of ``x-envoy-retry-on`` ... to bytes)
    # reselect_priority_every, host_selection_attempts (int), keeps_hosts (bool): how the next endpoint is chosen


class ICircuitBreaker(Interface):
    """Admits work to one cluster. Each ``admit_*`` returns bool; True is paid back by one ``release_*``."""

    def admit_request():
        """A request wants to be in flight."""

    def release_request():
        """It has ended."""

    def admit_pending():
        """A request wants to wait for a connection."""

    def release_pending():
        """It waits no more."""

    def admit_connection():
        """A connection wants to be opened."""

    def release_connection():
        """It has closed."""

    def admit_retry():
        """An attempt wants to be a retry."""

    def release_retry():
        """It has ended."""

    def state():
        """Return a dict of name -> (used, limit) for /clusters and metrics."""

    # optional: high is the ICircuitBreaker of routes with priority ``high``; max_connections_per_endpoint (int, 0: any)


class IOutlierDetector(Interface):
    """Judges the endpoints of one cluster by the answers that they give, and ejects them."""

    def watch(cluster):
        """The cluster is this one (``ICluster``). Called once, before ``start``; ``stop`` lets go of it."""

    def on_result(endpoint, outcome):
        """One attempt has ended: with the head of an answer, or without.

        ``outcome`` is that of retry policies; ``outcome.seconds`` is the time from the first byte sent to the head.
        Returns None; must be fast.
        """


class ICluster(Interface):
    """A live cluster, as ``site.cluster`` and outlier detectors have it."""

    name = Attribute("str")
    endpoints = Attribute("tuple of IEndpoint: all of them, usable or not")

    def mark(endpoint, bit, is_set, note=None):
        """Set or clear a health flag (``meshd.api.health``) of an endpoint; return whether that was a change.

        ``note`` says why, for /clusters: a dict ready for JSON, with ``reason`` and what else is known.
        """

    def on_check(callback, is_wanted=True):
        """Call ``callback(address, is_well)`` after each active health check from now on, or no more."""


class IHealthChecker(Interface):
    """Asks endpoints how they are. When, how often and how many at once is not its concern."""

    def check(endpoint):
        """Return a Deferred of bool, or of ``Checked``, which says more; a failure of it is a failed check.

        It is cancelled at the timeout, and must then leave nothing open.
        """


class IDiscovery(Interface):
    """Finds the endpoints of a cluster."""

    def watch(report):
        """Call ``report(tuple of EndpointSpec)`` now or later, and again on each change, until ``stop()``. Never
        empties on a fault. May return a Deferred, which a start or reload waits for: bound it.
        """

    # optional, for the admin API: fact() returns a dict of how it goes (type, source, state, age_s, endpoints, updates,
    # failures, held, last_look); find() a Deferred of what one look finds: (rows with labels, endpoint and cause, texts
    # of faults)


class IAuthenticator(Interface):
    """Says who a caller is."""

    def authenticate(exchange):
        """Return an Identity, None (no credentials of this kind), or raise ``Denied``; or a Deferred or coroutine of
        these.
        """


class IAuthorizer(Interface):
    """Says what a caller may do."""

    def authorize(exchange):
        """Return True or False, or a Deferred or coroutine of it."""


class ITelemetrySink(Interface):
    """Told once of every exchange that ended, and of every connection of TCP (``ISession``).

    May also have ``on_connection(session)``, for a connection of TCP whose upstream is there, and
    ``on_progress(session)``, now and then while bytes are moved; ``fresh_received`` and ``fresh_sent`` have what is
    new, also at the end. ``on_udp_session(session)`` tells of a UDP session that has ended, which is no connection
    of TCP.
    """

    def on_complete(exchange):
        """Record it; must not wait. Returns None."""


class IAccessLogOperator(Interface):
    """Makes the value of one ``%OPERATOR(argument):length%``."""

    def compile(argument, length):
        """Return a callable(exchange) -> str | int | float | None (unset). Raises ValueError on a bad argument."""


class IConfigDialect(Interface):
    """Turns parsed documents into sections of the native form. Built before there is a site: ``build(None, None)``.

    May have ``codes``, a dict of code -> ``meshd.api.Code``, where its faults and findings have codes of their own.
    """

    def accepts(root):
        """Say whether a document is of this dialect; ``root`` is a ``meshd.document.node.Node`` (Mapping, Sequence,
        Scalar).
        """

    def load(roots, context):
        """Return native sections (an iterable of Mapping nodes) that say what all its documents (tuple of Node) say.

        The nodes keep the places of what they come from. ``context`` is a ``meshd.document.context.Context``; its
        ``node`` says who this proxy is. What is wrong is added with ``context.fault(code, node, path, message)``; what
        is returned beside faults is only checked. Never raises for bad input. With large configurations it runs again
        in the same process: ``context.once`` takes over what has not changed.
        """

    # optional: status(roots, context) returns a list of dicts, one for each document that has a status: kind,
    # namespace, name, and conditions (type, status, reason, message), its own or of its listeners, parents, ancestors

    def write(snapshot):
        """Return (documents as plain Python, sentences that say what could not be written) of a Snapshot.

        Documents of this dialect that mean the same, for ``meshctl convert``.
        """


class IConfigSource(Interface):
    """Brings documents from somewhere."""

    def read():
        """Return an iterable of (name, text)."""


class IStore(Interface):
    """Keeps small values between runs."""

    def get(key):
        """Return bytes or None."""

    def put(key, value):
        """Keep bytes."""


class IProtocolCodec(Interface):
    """Reads and writes the frames (``meshd.api.Frame``) of a request protocol, without I/O and without memory:
    one object serves all connections, both sides. What is no frame raises ``ProtocolError``, once that can be known.
    """

    is_multiplexed = Attribute(
        "bool: requests have ids, so those of several clients can share a connection; else the first frame opens a "
        "session (SESSION) and what follows it is passed on as it is")
    max_frame_bytes = Attribute("int: longer frames are refused")

    def decode(data):
        """Return (list of Frame, the bytes after the last whole one)."""

    def frame_bytes(start):
        """Return how long the frame that begins with ``start`` is in all, 0 where more bytes are needed to know."""

    def encode(frame):
        """Return the bytes of a frame: its ``data``, with its ``id``."""

    def fields(frame):
        """Return what a REQUEST, ONEWAY or SESSION is routed by: (name, value) pairs of bytes, names in lower case."""

    def heartbeat_answer(frame):
        """Return the HEARTBEAT_ANSWER to a HEARTBEAT."""

    def refusal(frame, reason):
        """Return the bytes of an answer to a REQUEST or SESSION that is not passed on (b"" for none).

        ``reason`` is one of ``meshd.api``'s NO_ROUTE, UNAVAILABLE, TIMEOUT.
        """

    def malformed(data):
        """Return the bytes that a client is told before the end, after it sent ``data``, which is no frame; or b""."""


class IAdminPage(Interface):
    """A page of the admin API."""

    path = Attribute("str: /name")
    methods = Attribute("tuple of str")

    def render(query):
        """``query`` is dict of str -> list of str. Return (status, content type, bytes)."""


class ICtlVerb(Interface):
    """A verb of meshctl."""

    def command():
        """Return a click.Command."""


KINDS = {
    "http_filter": IHttpFilter,
    "network_filter": INetworkFilter,
    "listener_filter": IListenerFilter,
    "load_balancer": ILoadBalancer,
    "retry_policy": IRetryPolicy,
    "circuit_breaker": ICircuitBreaker,
    "outlier_detector": IOutlierDetector,
    "health_checker": IHealthChecker,
    "discovery": IDiscovery,
    "authenticator": IAuthenticator,
    "authorizer": IAuthorizer,
    "telemetry": ITelemetrySink,
    "access_log_operator": IAccessLogOperator,
    "config_dialect": IConfigDialect,
    "config_source": IConfigSource,
    "store": IStore,
    "protocol_codec": IProtocolCodec,
    "admin_page": IAdminPage,
    "meshctl_verb": ICtlVerb,
}

__all__ = [name for name in dir() if name[:1] in "IK"]
