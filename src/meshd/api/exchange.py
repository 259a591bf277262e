"""What a plugin sees of one request and its response."""

import enum

import attrs
from zope.interface import Attribute, Interface


class Verdict(enum.Enum):
    """A filter's answer."""

    CONTINUE = "continue"
    STOP = "stop"
    MORE = "more"


CONTINUE = Verdict.CONTINUE
STOP = Verdict.STOP
MORE = Verdict.MORE
"""Only of a listener filter: it wants to see more bytes."""


class Denied(Exception):
    """Raised by an authenticator: credentials were given and are wrong. The text is for the log, never for the
    client.
    """


@attrs.frozen(kw_only=True)
class Identity:
    """Who the caller is: ``name`` for logs, ``method`` how it was proven, ``claims`` what else is known."""

    name: str
    method: str
    claims: tuple[tuple[str, str], ...] = ()


@attrs.frozen(kw_only=True)
class Timeouts:
    """Of one route, in seconds; 0 turns one off. ``request`` includes retries and back-off (C1, C3); it and ``per_try``
    run from the end of the request on.
    """

    request_s: float = 15.0
    per_try_s: float = 0.0
    idle_s: float = 0.0


@attrs.frozen(kw_only=True, eq=False)
class Mirror:
    """A second destination of a route's requests, whose answers are thrown away.

    ``cluster`` is a live cluster; ``percent`` of the requests go there. ``edit`` is a callable(exchange) or None, run
    on a copy of the request. ``keeps_host``: ``-shadow`` is not put behind the host. ``body_limit_bytes`` bounds one
    body, ``memory_bytes`` all bodies in flight; ``timeout_s`` bounds the whole. ``dropped(reason)`` counts what was
    not sent: body_limit, memory, overflow, no_endpoint, error.
    """

    cluster: object
    percent: float = 100.0
    edit: object | None = None
    keeps_host: bool = False
    timeout_s: float = 15.0
    body_limit_bytes: int = 65536
    memory_bytes: int = 2**24
    dropped: object = None
    held: list = attrs.field(factory=lambda: [0])


@attrs.frozen(kw_only=True, eq=False)
class Extra:
    """What few routes ask for: a plan without one has nothing of this on a request's road. Seconds; 0 turns one off.

    ``is_high``: the circuit breaker's limits of priority ``high`` count. ``per_try_idle_s`` is the longest silence of
    one attempt, ``max_stream_s`` bounds the whole request from its first byte. ``hedges``: at the per-try timeout the
    attempt goes on beside the next one. The rest says which of Envoy's fields are sent.
    """

    is_high: bool = False
    per_try_idle_s: float = 0.0
    max_stream_s: float = 0.0
    hedges: bool = False
    mirrors: tuple = ()
    attempt_in_request: bool = False
    attempt_in_response: bool = False
    timeout_retry_in_request: bool = False
    expected_timeout_in_request: bool = False

@attrs.frozen(kw_only=True, eq=False)
class Calls:
    """What a route says of gRPC calls alone. ``timeout_max_s``: a call's ``grpc-timeout``, less ``timeout_offset_s``,
    is the timeout in place of the route's, none without it, at most this (0: any; None: it is not looked at).
    ``stream_max_s``: it bounds the whole call from its first byte, in place of ``max_stream_s``, at most this (the
    same), less ``stream_offset_s``.
    """

    timeout_max_s: float | None = None
    timeout_offset_s: float = 0.0
    stream_max_s: float | None = None
    stream_offset_s: float = 0.0


@attrs.frozen(kw_only=True)
class Connect:
    """How CONNECT ends here (Envoy's connect_config). ``proxy_protocol`` is the version of the header that tells the
    endpoint where the client is (``v1``, ``v2``), or None; ``allow_post``: POST is taken for CONNECT.
    """

    proxy_protocol: str | None = None
    allow_post: bool = False


@attrs.frozen(kw_only=True, eq=False)
class Plan:
    """What the router asks the exchange to do: one per route, made at build time.

    ``clusters`` is a tuple of (cumulative weight, cluster, request header edit or None, response header edit or None);
    with one entry no random number is drawn. An edit is a callable(exchange), bound at build time.
    ``on_request`` is such an edit run before every first attempt, ``on_response`` one run on the final response's head.
    ``retry`` is an IRetryPolicy or None; ``asked_retry`` the one to ask (``asked``) where the request's own fields want
    retries. ``upgrades`` are the lower-case protocols that this route passes on. ``extra`` is an Extra or None.
    ``calls`` is a Calls, or None where gRPC calls are requests like others. ``connect`` is a Connect where tunnels end
    here, None where CONNECT is passed on.
    """

    clusters: tuple
    timeouts: Timeouts = Timeouts()
    retry: object | None = None
    asked_retry: object | None = None
    extra: object | None = None
    calls: object | None = None
    on_request: object | None = None
    on_response: object | None = None
    upgrades: tuple[bytes, ...] = (b"websocket",)
    connect: object | None = None


class IExchange(Interface):
    """One request and its response, as filters, balancers, policies and telemetry see it.

    Times are monotonic seconds, 0.0 where the thing has not happened. Plugins change only ``request``, ``response``
    (their heads), ``identity``, ``wanted``, ``folds_trailers`` and ``metadata``, and call the methods below.
    """

    request = Attribute("RequestHead: method, target, path, query, host, scheme, version, headers, content_length...")
    response = Attribute("ResponseHead or None: status, headers, content_length")
    trailers = Attribute("Headers or None: what came behind the answer's body; known at its end")
    folds_trailers = Attribute("bool, set in on_request: a filter puts the trailers into the body (gRPC-Web)")
    route = Attribute("IRoute or None; matched when first read, kept until clear_route()")
    cluster = Attribute("the cluster picked (name, endpoints), or None")
    endpoint = Attribute("IEndpoint of the last attempt, or None")
    tried = Attribute("tuple of endpoints of the attempts before this one")
    attempts = Attribute("int: attempts made")
    identity = Attribute("Identity or None, set by authentication")
    metadata = Attribute("dict, made when first read; keys are plugin names")
    flags = Attribute("int: response flags, meshd.api.flag")
    detail = Attribute("str: response code detail (via_upstream, route_not_found, ...), '' before the answer")
    failure = Attribute("str: the upstream transport failure's reason, '' if none")
    peer = Attribute("str: address HOST:PORT of the downstream's socket")
    client = Attribute("str: address of the client by x-forwarded-for and trusted hops, without port")
    local = Attribute("str: our address HOST:PORT that it connected to")
    security = Attribute("what TLS has agreed on with the client, None without: version, cipher, server_name, peer...")
    upstream_security = Attribute("the same of the upstream connection of the last attempt")
    upstream_local = Attribute("str: our address HOST:PORT on the upstream connection, '' if none")
    listener = Attribute("str: the listener's name")
    connection_id = Attribute("int")
    stream_id = Attribute("int: unique in this process")
    started = Attribute("float, monotonic: first byte of the head was read")
    request_ended = Attribute("float, monotonic: last byte of the request was read")
    upstream_began = Attribute("float, monotonic: first byte was sent upstream")
    response_began = Attribute("float, monotonic: head of the response was read from upstream")
    ended = Attribute("float, monotonic")
    request_bytes = Attribute("int: body bytes received from downstream")
    response_bytes = Attribute("int: body bytes sent downstream")
    wanted = Attribute(
        "None, or (address, whether no other will do, health flags that do not matter): the endpoint that a filter "
        "wants in place of the balancer's")
    is_local_reply = Attribute("bool: the response is ours, not the upstream's")

    def reply(status, body=b"", headers=(), flag=0, detail="", content_type=b"text/plain"):
        """Answer here and now (a local reply); ``headers`` is an iterable of (name, value) bytes. The filter then
        returns STOP.
        """

    def forward(plan):
        """Send the request upstream (terminal filters)."""

    def add_response_header(name, value):
        """Add a field (bytes) to the upstream's answer when it comes; for filters and balancers."""

    def clear_route():
        """The request was changed so that its route must be found anew."""

    def transform_request(transform):
        """Pass every request body chunk through ``transform(data: bytes, is_end: bool) -> bytes``. Only within
        on_request.

        ``transform`` may call ``reply`` and return b""; the request then goes no further. A transform that changes the
        length must remove content-length from ``request.headers`` first and set ``request.content_length`` to -1.
        """

    def transform_response(transform):
        """The same for the response body. Only within on_response."""

    def gather_response(limit):
        """Return a Deferred of the answer's body (bytes, what is beyond ``limit`` is dropped), which is not sent. The
        head waits meanwhile. Only within on_response, which returns that Deferred or one made of it.
        """

    def read_body(limit):
        """Return a Deferred of the whole request body (bytes, at most ``limit``), which is also passed on; or of None
        when it is longer.
        """
