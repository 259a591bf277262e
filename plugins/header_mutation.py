"""The http filter ``header_mutation``: sets, adds and removes fields of requests and responses."""

from functools import partial

from meshd.api import (
    CONTINUE, Boolean, Choice, ConfigurationError, HeaderName, Headers, ListOf, MapOf, Nested, Plugin, PluginType, Text,
    compile_template, config, hookimpl, option, parse_template,
)

APPEND, ABSENT = "APPEND_IF_EXISTS_OR_ADD", "ADD_IF_ABSENT"
OVERWRITE, EXISTING = "OVERWRITE_IF_EXISTS_OR_ADD", "OVERWRITE_IF_EXISTS"
REFUSED = frozenset((
    "connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
))
"""Fields that say where a message ends, which connection it is on, or where it goes: RFC 9112 6, RFC 9110 7.6.1."""

VALUE = Text(maximum=8192)


def name_fault(name):
    """Return why ``name`` (lower case) may not be changed, or None."""
    if name in REFUSED or name.startswith(":"):
        return f"expected a field that neither frames, routes nor is hop-by-hop, got {name!r}"
    return None


def value_fault(value):
    """Return why ``value`` cannot be a field's value, or None."""
    if any(character < " " and character != "\t" or character == "\x7f" for character in value):
        return f"expected a value without controls, got {value!r}"
    try:
        parse_template(value)
    except ValueError as error:
        return str(error)
    return None


def entry_faults(attribute, name, value):
    """Yield (attribute, message) for one field."""
    for fault in (name_fault(name), value_fault(value)):
        if fault:
            yield attribute, f"{name}: {fault}"


@config
class Mutation:
    """One change of one field, with Envoy's word for what happens where it exists."""

    name: str = option(HeaderName(), doc="the field")
    value: str = option(VALUE, doc="text with %REQ(NAME)% and other operators; an empty result is not written")
    append_action: str = option(
        Choice((APPEND, ABSENT, OVERWRITE, EXISTING)), default=APPEND,
        doc="what to do where the field exists, or does not"
    )

    def check(self):
        """Yield faults of name and value."""
        yield from entry_faults("name", self.name, self.value)


@config
class Mutations:
    """Changes of one head, in this order: remove, set, add, mutations."""

    remove: tuple[str, ...] = option(
        ListOf(item=HeaderName(), maximum=1000), default=(), doc="drop every line of these"
    )
    set: tuple[tuple[str, str], ...] = option(
        MapOf(key=HeaderName(), value=VALUE, maximum=1000), default=(), doc="replace (OVERWRITE_IF_EXISTS_OR_ADD)"
    )
    add: tuple[tuple[str, str], ...] = option(
        MapOf(key=HeaderName(), value=VALUE, maximum=1000), default=(), doc="add a line (APPEND_IF_EXISTS_OR_ADD)"
    )
    mutations: tuple[Mutation, ...] = option(
        ListOf(item=Nested(Mutation), maximum=1000), default=(), doc="further changes, in order"
    )

    def check(self):
        """Yield faults of names and values."""
        for name in self.remove:
            if fault := name_fault(name):
                yield "remove", f"{name}: {fault}"
        for attribute in ("set", "add"):
            for name, value in getattr(self, attribute):
                yield from entry_faults(attribute, name, value)


@config
class HeaderMutation:
    """Changes header fields of requests (before routing) and of responses (local replies too)."""

    request: Mutations = option(Nested(Mutations), default=Mutations(), doc="changes of the request's head")
    response: Mutations = option(Nested(Mutations), default=Mutations(), doc="changes of the response's head")
    clear_route: bool = option(
        Boolean(), default=False,
        doc="find the route anew after the request was changed (when a filter before has looked at it)"
    )


def remove_field(headers: Headers, name: bytes, value: bytes) -> None:
    """Drop every line of ``name``."""
    headers.remove(name)


def add_if_absent(headers: Headers, name: bytes, value: bytes) -> None:
    """Add a line where there is none."""
    if name not in headers:
        headers.add(name, value)


def overwrite_if_exists(headers: Headers, name: bytes, value: bytes) -> None:
    """Replace where there is a line."""
    if name in headers:
        headers.set(name, value)


VERBS = {APPEND: Headers.add, ABSENT: add_if_absent, OVERWRITE: Headers.set, EXISTING: overwrite_if_exists}

WORDS = {
    remove_field: "removes", Headers.add: "adds", add_if_absent: "adds where absent", Headers.set: "sets",
    overwrite_if_exists: "overwrites",
}


def compile_steps(mutations, operator):
    """Return a tuple of (verb, name, constant value or None, render or None); raises ValueError on a bad operator."""
    steps = [(remove_field, name.encode(), b"-", None) for name in mutations.remove]
    rows = [(OVERWRITE, name, value) for name, value in mutations.set]
    rows += [(APPEND, name, value) for name, value in mutations.add]
    rows += [(one.append_action, one.name, one.value) for one in mutations.mutations]
    for action, name, value in rows:
        parts = parse_template(value)
        is_constant = all(isinstance(part, bytes) for part in parts)
        constant = b"".join(parts) if is_constant else None
        render = None if is_constant else compile_template(value, operator)
        steps.append((VERBS[action], name.encode(), constant, render))
    return tuple(steps)


def apply_steps(steps, headers, exchange):
    """Run the steps. A value that comes out empty is not written (Envoy's keep_empty_value: false)."""
    for verb, name, value, render in steps:
        if render is not None:
            value = render(exchange).strip()
        if value:
            verb(headers, name, value)


class HeaderMutationFilter:
    """Runs steps that were compiled at build time; a phase without any is not there."""

    def __init__(self, config, site):
        operator = partial(build_operator, site)
        try:
            self._request_steps = compile_steps(config.request, operator)
            self._response_steps = compile_steps(config.response, operator)
        except ValueError as error:
            raise ConfigurationError(f"header_mutation: {error}") from error
        if self._request_steps:
            self.on_request = self._change_and_clear if config.clear_route else self._change_request
        if self._response_steps or not self._request_steps:
            self.on_response = self._change_response

    def explain(self, exchange):
        """Say what would happen to a request, and change the fields that routes may ask for."""
        change = getattr(self, "on_request", None)
        if change is not None:
            change(exchange)
        parts = (("request", self._request_steps), ("response", self._response_steps))
        return "; ".join(f"{what}: {_listed(steps)}" for what, steps in parts if steps) or "changes nothing"

    def _change_request(self, exchange):
        apply_steps(self._request_steps, exchange.request.headers, exchange)
        return CONTINUE

    def _change_and_clear(self, exchange):
        apply_steps(self._request_steps, exchange.request.headers, exchange)
        exchange.clear_route()
        return CONTINUE

    def _change_response(self, exchange):
        apply_steps(self._response_steps, exchange.response.headers, exchange)


def _listed(steps):
    return ", ".join(f"{WORDS[verb]} {name.decode()}" for verb, name, _, _ in steps)


def build_operator(site, name):
    """Return the access-log operator ``name``."""
    return site.build(Plugin(kind="access_log_operator", type=name, config=None, name=name))


@hookimpl
def meshd_plugins():
    """Offer the filter."""
    return [
        PluginType(
            kind="http_filter", name="header_mutation", config=HeaderMutation, build=HeaderMutationFilter,
            doc="Sets, adds and removes header fields of requests and responses.",
        )
    ]
