"""What is done to every request's head before the filters see it: path rules, client address, request id.

The rules are Envoy's connection manager's (use_remote_address, xff_num_trusted_hops, path normalisation); an
Edge is made of a listener's HttpOptions at build time.
"""

from typing import Any

from meshd.downstream.client_cert import ClientCert
from meshd.errors import ProtocolError
from meshd.hot import block
from meshd.http import flag as flags
from meshd.http import path
from meshd.http.target import CONNECT

PERCENT, BACKSLASH = b"%\\"  # as numbers: to look for bytes with ``in`` costs ten times as much

INTERNAL = (
    b"x-envoy-internal", b"x-envoy-external-address", b"x-envoy-retry-on", b"x-envoy-retry-grpc-on",
    b"x-envoy-max-retries",
    b"x-envoy-retriable-status-codes", b"x-envoy-retriable-header-names", b"x-envoy-upstream-rq-timeout-ms",
    b"x-envoy-upstream-rq-per-try-timeout-ms", b"x-envoy-upstream-rq-timeout-alt-response",
    b"x-envoy-expected-rq-timeout-ms",
    b"x-envoy-hedge-on-per-try-timeout", b"x-envoy-decorator-operation", b"x-envoy-force-trace", b"x-envoy-ip-tags",
    b"x-envoy-original-path", b"x-envoy-original-dst-host", b"x-envoy-peer-metadata", b"x-envoy-peer-metadata-id",
    b"x-envoy-attempt-count", b"x-envoy-is-timeout-retry",
)
"""Fields that only this mesh may set: dropped from a request that comes from outside (reliability row 17)."""


class Edge:
    """``prepare(exchange)`` changes the request's head; raises ProtocolError where it must be refused and
    ``path.Redirect`` where the client has to ask again."""

    def __init__(self, options: Any, random: Any) -> None:
        self.options = options
        digits = b"%023x" % random.getrandbits(92)
        self.id_tail = b"%b-4%b-a%b-%b" % (digits[:4], digits[4:7], digits[7:10], digits[10:22])
        self.id_count = random.getrandbits(32)
        self.is_edge = options.use_remote_address
        self.hops = options.xff_num_trusted_hops
        self.makes_id = options.generate_request_id
        self.normalizes = options.normalize_path
        self.slashes = options.path_with_escaped_slashes_action
        self.merges = options.merge_slashes
        self.upgrades = frozenset(name.lower().encode() for name in options.upgrades)
        self.server = (options.server_name or "").encode("latin-1", "replace")
        self.returns_id = options.always_set_request_id_in_response
        self.client_cert = ClientCert(options.forward_client_cert_details, options.set_current_client_cert_details)
        self.is_finishing = bool(self.server) or self.returns_id

    def prepare(self, exchange: Any) -> None:
        """Apply every rule to the request of ``exchange``."""
        request = exchange.request
        target = request.target
        if self.normalizes and (
                PERCENT in target or BACKSLASH in target or target.find(b"/.") >= 0 or target.find(b"//") >= 0):
            target = path.normalize(target, merge_slashes=self.merges, escaped_slashes=self.slashes)
            if target is not request.target:
                request.set_target(target)
        headers = request.headers
        if not request.host:
            self.name_host(exchange, request)
        if request.upgrade is not None and (
                request.upgrade not in self.upgrades or request.upgrade == CONNECT and request.method != b"CONNECT"):
            request.upgrade = None
        if headers.low.find(b"\r\nx-") >= 0:
            self.sanitize(exchange, headers)
            self.client_cert.apply(headers, exchange.security)
        else:
            self.stamp(exchange, headers)
            if self.client_cert.adds and exchange.security is not None:
                self.client_cert.apply(headers, exchange.security)

    def stamp(self, exchange: Any, headers: Any) -> None:
        """No x- field came: add ours in one piece."""
        downstream = exchange.downstream
        lines = downstream.forwarded if self.is_edge else b"\r\nx-forwarded-proto: " + exchange.request.scheme
        if self.makes_id:
            lines += b"\r\nx-request-id: " + self.request_id()
        headers.raw += lines
        headers.low += lines

    def name_host(self, exchange: Any, request: Any) -> None:
        """HTTP/1.0 needs no Host, what we send does (RFC 9112 3.2): the address that the client came to."""
        local = exchange.downstream.local
        request.host = local.encode() if local[-1:].isdigit() and "/" not in local else b"localhost"
        request.headers.set(b"host", request.host)

    def request_id(self) -> bytes:
        """Return a UUID of version 4's form (RFC 9562): unique, not secret.

        Its last 88 bits are random once for each listener; the first 32 walk through all of their values in scrambled
        order (Knuth's multiplicative hash, an odd factor), since samplers take them for random.
        """
        count = self.id_count = (self.id_count + 1) & 0xFFFFFFFF
        return block.tagged((count * 2654435761) & 0xFFFFFFFF, self.id_tail)

    def sanitize(self, exchange: Any, headers: Any) -> None:
        """Trust what may be trusted, drop the rest, add ours."""
        forwarded = headers.joined(b"x-forwarded-for")
        entries = [entry.strip() for entry in forwarded.split(b",")] if forwarded else []
        host = exchange.downstream.host_bytes
        if self.is_edge:
            is_trusted = 0 < self.hops <= len(entries)
            exchange.client = (entries[-self.hops] if is_trusted else host).decode("latin-1")
            self.drop_internal(headers)
            headers.set(b"x-forwarded-for", b", ".join([*entries, host]))
            if not (is_trusted and headers.get(b"x-forwarded-proto") in (b"http", b"https")):
                headers.set(b"x-forwarded-proto", exchange.request.scheme)
        else:
            if len(entries) > self.hops:
                exchange.client = entries[-1 - self.hops].decode("latin-1")
            if not headers.get(b"x-forwarded-proto"):
                headers.set(b"x-forwarded-proto", exchange.request.scheme)
        keeps = not self.is_edge or self.options.preserve_external_request_id
        if self.makes_id and not (keeps and headers.get(b"x-request-id")):
            headers.set(b"x-request-id", self.request_id())

    def finish(self, exchange: Any, head: Any) -> None:
        """Put our fields into an answer's head; for those with ``is_finishing``."""
        if self.server:
            head.headers.set(b"server", self.server)
        if self.returns_id:
            value = exchange.request.headers.get(b"x-request-id")
            if value:
                head.headers.set(b"x-request-id", value)

    def drop_internal(self, headers: Any) -> None:
        """Remove the mesh's own control fields."""
        if b"\r\nx-envoy-" in headers.low:
            for name in INTERNAL:
                headers.remove(name)


def take_connect(request: Any, edge: Edge) -> None:
    """Take CONNECT for an upgrade where the listener has it among its upgrades; raises ProtocolError 405 elsewhere."""
    if CONNECT not in edge.upgrades:
        raise ProtocolError("CONNECT is not served here", 405, "connect_not_allowed")
    request.upgrade = CONNECT


def admit(edge: Any, exchange: Any) -> bool:
    """Apply the rules of ``edge``; say whether the request goes on to the filters, else it has been answered."""
    try:
        if exchange.request.method == b"CONNECT":
            exchange.downstream.is_kept = False  # what follows one that is refused is no request
            take_connect(exchange.request, edge)
        edge.prepare(exchange)
    except ProtocolError as error:
        exchange.reply(error.status, b"%b\n" % str(error).encode(), (), flags.DPE, error.detail)
        return False
    except path.Redirect as redirect:
        exchange.reply(307, b"", ((b"location", redirect.target),), 0, "path_normalization_redirect")
        return False
    return True
