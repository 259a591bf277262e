"""The plugin kinds: one zope.interface Interface each. The contract suites stand in ``meshd.testing.contract``.

Every object that ``build(config, site)`` returns may also have ``start()`` (run at the swap; may return a Deferred) and
``stop()`` (run after the last request of the old runtime). ``build`` opens, starts and schedules nothing; it may be a
generator that yields between slices of work of at most 2 ms and returns the object.
"""

from zope.interface import Attribute, Interface


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


class IListenerFilter(Interface):
    """Peeks at a new connection before its protocol is served."""

    def on_accept(connection):
        """Return CONTINUE, STOP (connection refused), or a Deferred of either."""


class INetworkFilter(Interface):
    """Sees the bytes of a connection (TCP)."""

    def on_data(connection, data):
        """Return the bytes to pass on."""


class ILoadBalancer(Interface):
    """Picks endpoints of one cluster."""

    def update(endpoints):
        """The usable endpoints (tuple of ``IEndpoint``) are these from now on. Called before the first ``pick``."""

    def pick(exchange):
        """Return one of them, or None where there is none. ``exchange.tried`` (tuple) holds the endpoints of earlier
        attempts.
        """


class IEndpoint(Interface):
    """Read view of one address of a cluster."""

    address = Attribute("str: HOST:PORT or unix:PATH")
    weight = Attribute("int >= 1")
    active = Attribute("int: requests in flight to it from this worker")
    healthy = Attribute("bool")
    labels = Attribute("tuple of (key, value)")
    locality = Attribute("str")
    priority = Attribute("int")


class IRetryPolicy(Interface):
    """Decides whether a failed attempt is made again. Built once per route; no state of a request in it."""

    body_limit_bytes = Attribute("int: request bodies up to this are kept for another attempt")
    judges_responses = Attribute("bool: judge() wants to see answers too, not only failures")

    def judge(exchange, outcome):
        """Return seconds to wait before the next attempt, or None to let ``outcome`` stand.

        ``outcome.status`` is the upstream's status or 0; ``outcome.headers`` its Headers or None; ``outcome.flag`` is a
        response flag (0 with a status), ``outcome.began`` says whether any byte of the request had been sent.
        ``exchange.attempts`` counts the attempts made so far (1 after the first).
        """


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


class IOutlierDetector(Interface):
    """Judges endpoints by the answers that they give."""

    def on_result(endpoint, outcome):
        """One attempt has ended. Returns None."""


class IHealthChecker(Interface):
    """Asks endpoints how they are."""

    def check(endpoint):
        """Return a Deferred of bool."""


class IDiscovery(Interface):
    """Finds the endpoints of a cluster."""

    def watch(report):
        """Call ``report(tuple of EndpointSpec)`` now or later, and again on each change, until ``stop()``. Never
        empties on a fault.
        """


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
    """Told once of every exchange that ended."""

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
    """Frames of a request protocol."""

    def decode(data):
        """Return (frames, rest)."""

    def encode(frame):
        """Return bytes."""


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
