"""The filter: asks its authenticators, sets the identity, takes credentials out of the request. Fails closed."""

import inspect

from twisted.internet.defer import CancelledError

from meshd.api import (
    CONTINUE, STOP, Boolean, Denied, HeaderName, Identity, ListOf, Plugin, PluginError, PluginOf, Text, config, option,
)

MISSING = "authentication_missing_credentials"
DENIED = "authentication_denied"
FAILED = "authentication_error"
CONTROLS = bytes(range(32)) + b"\x7f"


@config
class Authentication:
    """Who calls. The authenticators are asked in order; the first that knows the caller decides."""

    authenticators: tuple[Plugin, ...] = option(
        ListOf(item=PluginOf(kind="authenticator"), minimum=1, maximum=20, unique="name"), doc="asked in this order"
    )
    realm: str = option(
        Text(pattern=r'[^"\\\x00-\x1f\x7f]*', maximum=200), default="meshd", doc="named in www-authenticate"
    )
    allow_missing: bool = option(
        Boolean(), default=False,
        doc="let requests without credentials pass, without an identity (wrong ones never pass)"
    )
    forward_identity_header: str | None = option(
        HeaderName(), default=None,
        doc="tell the upstream the caller's name in this field; a client's own is always removed"
    )


class AuthenticationFilter:
    """One loop over bound methods; waits only where an authenticator does.

    An authenticator may also have ``challenge(realm)`` -> bytes, a www-authenticate value, and ``strip(exchange)``,
    which takes its credentials out of a request that goes on. Whatever an authenticator raises but Denied is
    answered 500, also where the plugin is configured to fail open.
    """

    def __init__(self, config, site):
        self._log = site.log
        built = [site.build(plugin) for plugin in config.authenticators]
        self._explains = tuple((getattr(one, "explain", None), plugin.name)
                               for one, plugin in zip(built, config.authenticators))
        self._asked = tuple((one.authenticate, plugin.name) for one, plugin in zip(built, config.authenticators))
        self._strips = tuple(one.strip for one in built if hasattr(one, "strip"))
        challenges = [one.challenge(config.realm) for one in built if hasattr(one, "challenge")]
        challenges = list(dict.fromkeys(challenges)) or [b'Bearer realm="%s"' % config.realm.encode()]
        self._refusal = tuple((b"www-authenticate", value) for value in challenges)
        self._allows_missing = config.allow_missing
        self._header = config.forward_identity_header.encode() if config.forward_identity_header else None
        self._count(site)

    def _count(self, site):
        family = site.metrics.counter(
            "meshd_authentication_requests_total", "Requests by the verdict of authentication", ("filter", "result")
        )
        self._accepted, self._missing, self._denied, self._failed = (
            family.cell(site.name, result) for result in ("accepted", "missing", "denied", "error")
        )

    def on_request(self, exchange):
        """Return a verdict, or a coroutine of it where an authenticator waits."""
        if self._header is not None:
            drop_lookalikes(exchange.request.headers, self._header)
        return self._ask(exchange, 0)

    def _ask(self, exchange, index):
        for place in range(index, len(self._asked)):
            authenticate, name = self._asked[place]
            try:
                answer = authenticate(exchange)
            except Exception as error:
                return self._caught(exchange, error, name)
            if answer is None:
                continue
            if isinstance(answer, Identity):
                return self._accept(exchange, answer)
            return self._wait(exchange, answer, place)
        return self._without(exchange)

    async def _wait(self, exchange, answer, place):
        name = self._asked[place][1]
        try:
            if not inspect.isawaitable(answer):
                raise unexpected(name, answer)
            answer = await answer
        except CancelledError:
            raise
        except Exception as error:
            return self._caught(exchange, error, name)
        if isinstance(answer, Identity):
            return self._accept(exchange, answer)
        if answer is not None:
            return self._caught(exchange, unexpected(name, answer), name)
        verdict = self._ask(exchange, place + 1)
        return await verdict if inspect.iscoroutine(verdict) else verdict

    def _accept(self, exchange, identity):
        self._accepted.inc()
        self._let_in(exchange, identity)
        return CONTINUE

    def _let_in(self, exchange, identity):
        exchange.identity = identity
        for strip in self._strips:
            strip(exchange)
        if self._header is not None:
            value = identity.name.encode("utf-8", "replace").translate(None, CONTROLS)
            exchange.request.headers.add(self._header, value)

    def _without(self, exchange):
        self._missing.inc()
        return CONTINUE if self._pass_without(exchange) else STOP

    def _pass_without(self, exchange):
        """Say whether the request goes on although nobody knows who it is from; else it is answered."""
        if self._allows_missing:
            for strip in self._strips:
                strip(exchange)
        else:
            exchange.reply(401, b"authentication is required\n", self._refusal, detail=MISSING)
        return self._allows_missing

    def _caught(self, exchange, error, name):
        if isinstance(error, Denied):
            self._denied.inc()
            self._log.debug("{name}: denied: {reason!r}", name=name, reason=str(error)[:200])
            self._deny(exchange)
            return STOP
        self._failed.inc()
        self._log.error("{name}: cannot authenticate: {error!r}", name=name, error=error)
        exchange.reply(500, b"authentication is not possible now\n", detail=FAILED)
        return STOP

    def _deny(self, exchange):
        exchange.reply(401, b"authentication failed\n", self._refusal, detail=DENIED)

    def explain(self, exchange):
        """Say what would happen to a request; no password is hashed, and what only that can tell is left open.

        An authenticator may have ``explain(exchange)``: it answers as ``authenticate`` does, at once and without an
        effect, or with a text where it cannot tell.
        """
        if self._header is not None:
            drop_lookalikes(exchange.request.headers, self._header)
        for explain, name in self._explains:
            if explain is None:
                return f"asks {name}, which cannot tell without being asked"
            try:
                answer = explain(exchange)
            except Denied as error:
                self._deny(exchange)
                return f"{name} denies: {str(error)[:200]}"
            if isinstance(answer, Identity):
                self._let_in(exchange, answer)
                return f"{name} knows the caller {answer.name}"
            if answer is not None:
                return f"{name}: {answer}"
        if self._pass_without(exchange):
            return "no credentials: passes the request on without an identity"
        return "no credentials: refuses"


def unexpected(name, answer):
    """Return the error for an answer that is none."""
    return PluginError(f"{name}: authenticate answered {answer!r}: expected an Identity or None", plugin=name)


def drop_lookalikes(headers, name):
    """Drop ``name``, and what differs from it only by underscores: CGI and WSGI servers read both as one."""
    headers.remove(name)
    if b"_" in headers.low:
        plain = name.replace(b"_", b"-")
        for other, _ in list(headers):
            if other.replace(b"_", b"-") == plain:
                headers.remove(other)
