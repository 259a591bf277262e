"""Header edits compiled to closures; the build makes them, the exchange calls them."""

import re

from meshd_plugins.router.substitution import compile_text

_HOST = (b"host", b":authority")
_AUTHORITY = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:%\[\]-]{1,1024}")


def compile_edits(edits, context):
    """Return a tuple of steps (verb, name, value); ``value`` is bytes, a callable, or None for remove.

    ``edits`` is a sequence of RequestEdits or ResponseEdits, the most specific first (Envoy's order: destination,
    route, virtual host, table). Within one, Envoy removes first.
    """
    steps = []
    for edit in edits:
        steps += [("remove", name.lower().encode(), None) for name in edit.remove]
        steps += [("set", name.lower().encode(), compile_text(value, context)) for name, value in edit.set]
        steps += [("add", name.lower().encode(), compile_text(value, context)) for name, value in edit.add]
    return tuple(("host", b"host", value) if name in _HOST else (verb, name, value) for verb, name, value in steps)


def apply(steps, headers, exchange):
    """Run the steps on ``headers``. A value that comes out empty is not written (Envoy's keep_empty_value: false)."""
    for verb, name, value in steps:
        if value is None:
            headers.remove(name)
            continue
        if value.__class__ is not bytes:
            value = value(exchange)
        if not value:
            continue
        if verb == "add":
            headers.add(name, value)
        elif verb == "set":
            headers.set(name, value)
        else:
            set_host(exchange.request, value)


def set_host(request, value):
    """Give the request that goes upstream another Host; a value that is none (a client's field) changes nothing."""
    if _AUTHORITY.fullmatch(value) is None:
        return
    request.host = value
    request.headers.set(b"host", value)


def request_edit(steps, rewrite=None):
    """Return a callable(exchange) for ``Plan.on_request``, or None where there is nothing to do."""
    if not steps:
        return rewrite
    if rewrite is None:
        return lambda exchange: apply(steps, exchange.request.headers, exchange)

    def edit(exchange):
        apply(steps, exchange.request.headers, exchange)
        rewrite(exchange)

    return edit


def response_edit(steps):
    """Return a callable(exchange) for ``Plan.on_response``, or None where there is nothing to do."""
    return (lambda exchange: apply(steps, exchange.response.headers, exchange)) if steps else None
