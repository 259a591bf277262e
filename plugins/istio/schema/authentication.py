"""PeerAuthentication and RequestAuthentication (security.istio.io): who is let in with which proof."""

import json
from urllib.parse import urlsplit

from meshd.api import Boolean, Choice, ListOf, MapOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import TIME, WorkloadSelector, at_most_one
from meshd_plugins.istio.schema.policy import (
    PolicyTargetReference, one_target, selector_option, target_option, targets_option,
)

WORDS = ListOf(item=Text(minimum=1))


@camel_config
class MutualTLS:
    """Mutual TLS of connections that come in."""

    mode: str = option(
        Choice(("UNSET", "DISABLE", "PERMISSIVE", "STRICT")), default="UNSET", doc="UNSET: as the parent"
    )


@camel_config
class PeerAuthentication:
    """Mutual TLS of workloads."""

    selector: WorkloadSelector | None = selector_option()
    mtls: MutualTLS | None = option(Nested(MutualTLS), default=None, doc="of all their ports")
    port_level_mtls: tuple[tuple[str, MutualTLS], ...] | None = option(
        MapOf(value=Nested(MutualTLS)), default=None, doc="of one port of the workload"
    )

    def check(self):
        """Yield faults between fields."""
        if self.port_level_mtls is None:
            return
        if not self.port_level_mtls:
            yield "port_level_mtls", "expected at least one port"
        if self.selector is None or not self.selector.match_labels:
            yield "port_level_mtls", "expected a selector with labels beside it"
        for port, _ in self.port_level_mtls:
            if not (port.isdigit() and 1 <= int(port[:6]) <= 65535):
                yield ("port_level_mtls", port), f"expected a port from 1 to 65535, got {port!r}"


@camel_config
class JWTHeader:
    """A field that holds a token."""

    name: str = option(Text(minimum=1), doc="its name")
    prefix: str = option(Text(), default="", doc="what stands before the token")


@camel_config
class ClaimToHeader:
    """A claim that becomes a field."""

    header: str = option(Text(pattern="[-_A-Za-z0-9]+"), doc="the field")
    claim: str = option(Text(minimum=1), doc="the claim")


@camel_config
class JWTRule:
    """Tokens of one issuer."""

    issuer: str = option(Text(minimum=1), default="", doc="the issuer")
    audiences: tuple[str, ...] = option(WORDS, default=(), doc="audiences of which the token must have one")
    jwks_uri: str = option(Text(minimum=1, maximum=2048), default="", doc="URL of the keys")
    jwks_uri_old: str = option(Text(minimum=1, maximum=2048), default="", doc="the same, of old", key="jwks_uri")
    jwks: str = option(Text(), default="", doc="the keys (JSON)")
    from_headers: tuple[JWTHeader, ...] = option(ListOf(item=Nested(JWTHeader)), default=(), doc="fields with a token")
    from_params: tuple[str, ...] = option(WORDS, default=(), doc="query parameters with a token")
    output_payload_to_header: str = option(Text(), default="", doc="field for the payload")
    from_cookies: tuple[str, ...] = option(WORDS, default=(), doc="cookies with a token")
    forward_original_token: bool = option(Boolean(), default=False, doc="send the token on")
    output_claim_to_headers: tuple[ClaimToHeader, ...] = option(
        ListOf(item=Nested(ClaimToHeader)), default=(), doc="claims that become fields"
    )
    timeout_s: float | None = option(TIME, default=None, doc="wait for the keys (5s)")
    space_delimited_claims: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1), maximum=64), default=(), doc="claims that are lists of words"
    )
    presence: str = option(Choice(("OPTIONAL", "REQUIRED")), default="OPTIONAL", doc="whether a token must be there")

    def check(self):
        """Yield faults between fields."""
        yield from at_most_one(self, ("jwks_uri", "jwks_uri_old", "jwks"), absent="")
        if not self.issuer and not self.jwks_uri and not self.jwks_uri_old:
            yield None, "expected an issuer or a jwksUri"
        for name in ("jwks_uri", "jwks_uri_old"):
            url = getattr(self, name)
            if url and not _is_url(url):
                yield name, f"expected a URL with http or https, got {url!r}"
        if self.jwks and not _is_key_set(self.jwks):
            yield "jwks", "expected a set of keys in JSON"


def _is_url(text):
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _is_key_set(text):
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and (isinstance(found.get("keys"), list) or isinstance(found.get("kty"), str))


@camel_config
class RequestAuthentication:
    """Tokens of requests: a bad one is refused."""

    selector: WorkloadSelector | None = selector_option()
    target_ref: PolicyTargetReference | None = target_option()
    target_refs: tuple[PolicyTargetReference, ...] = targets_option()
    jwt_rules: tuple[JWTRule, ...] = option(
        ListOf(item=Nested(JWTRule), maximum=4096), default=(), doc="issuers that are accepted"
    )

    def check(self):
        """Yield faults between fields."""
        yield from one_target(self)
