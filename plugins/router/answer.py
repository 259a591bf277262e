"""Redirects and direct responses compiled to callables(exchange) that reply."""

from meshd.api import Headers
from meshd_plugins.router.domain import without_port
from meshd_plugins.router.edit import apply
from meshd_plugins.router.rewrite import prefix_change
from meshd_plugins.router.substitution import compile_text

DETAIL = "direct_response"
DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}


def compile_direct_response(config, steps, context):
    """Return a callable(exchange) for a DirectResponse; ``steps`` are the response edits of route, host and table."""
    body = compile_text(config.body, context)
    fields = tuple((name.lower().encode(), compile_text(value, context)) for name, value in config.headers)

    def answer(exchange):
        text = body if body.__class__ is bytes else body(exchange)
        pairs = [(name, value if value.__class__ is bytes else value(exchange)) for name, value in fields]
        _reply(exchange, config.status, text, pairs, steps)

    return answer


def compile_redirect(config, match, steps):
    """Return a callable(exchange) for a Redirect of requests that ``match`` (config)."""
    place = _location(config, match)

    def answer(exchange):
        _reply(exchange, config.response_code, b"", [(b"location", place(exchange.request))], steps)

    return answer


def _reply(exchange, status, body, pairs, steps):
    if steps:
        headers = Headers.of(*pairs)
        apply(steps, headers, exchange)
        pairs = list(headers)
    types = [value for name, value in pairs if name == b"content-type"] if body else []
    rest = [pair for pair in pairs if pair[0] != b"content-type"] if body else pairs
    exchange.reply(status, body, rest, detail=DETAIL, content_type=types[0] if types else b"text/plain")


def _location(config, match):
    """Return a callable(request) -> URI (Envoy's RouteEntryImplBase::newUri)."""
    scheme = b"https" if config.https_redirect else (config.scheme or "").encode()
    host = None if config.host is None else config.host.encode()
    port = b"" if config.port is None else b":%d" % config.port
    change = _path(config, match)
    is_bare = bool(port) or config.strip_port

    def location(request):
        new_scheme = scheme or request.scheme
        name = host if host is not None else _authority(request, new_scheme, is_bare)
        if not name:  # an HTTP/1.0 client without Host: one slash, so that no path can pass for a host
            return b"/" + change(request).lstrip(b"/")
        return b"".join([new_scheme, b"://", name, port, change(request)])

    return location


def _authority(request, scheme, is_bare):
    """Return the request's host as the client wrote it: without its port where ``is_bare``, or where it was the old
    scheme's own.
    """
    name = request.headers.get(b"host") or request.host
    bare = without_port(name)
    if is_bare or (scheme != request.scheme and name[len(bare):] == DEFAULT_PORTS.get(request.scheme)):
        return bare
    return name


def _path(config, match):
    """Return a callable(request) -> path and query."""
    if config.path is not None and "?" in config.path:
        whole = config.path.encode()
        return lambda request: whole
    if config.path is not None:
        fixed = config.path.encode()
        change = lambda path: fixed  # noqa: E731
    elif config.prefix_rewrite is not None:
        change = prefix_change(match, config.prefix_rewrite.encode())
    else:
        change = bytes
    if config.strip_query:
        return lambda request: change(request.path)
    return lambda request: change(request.path) + request.target[len(request.path):]
