"""TLS towards endpoints: which name is asked for, what must come back, and sessions to come back with.

Each read of ``SSLObject.session`` leaks some 6 KB in CPython (seen from 3.11 to 3.12: the copy that it makes is never
freed). So a session is not taken of every connection: one serves until an endpoint no longer takes it, and an endpoint
that takes none is not asked again until files change.
"""

import math
import ssl
from collections import OrderedDict
from typing import Any

from meshd.tls import context as contexts
from meshd.tls import material
from meshd.tls.cells import TlsCells
from meshd.tls.live import Live, Steps, authority_rows, chain_rows, finish
from meshd.wire.tls.layer import TlsDescriptor
from meshd.wire.tls.security import Security

ISTIO = "istio"
ISTIO_WORDS = {"h2": "istio-h2", "http/1.1": "istio-http/1.1"}
NO_SESSION = (None, 0, 0.0)
SESSIONS = 1024
"""Sessions kept for the endpoints of one cluster, one for each endpoint and name."""
MISSES = 3
"""So many sessions in a row that an endpoint has not taken, or has broken with, and it is offered none any more."""


class ClientTls(Live):
    """The TLS of a cluster. ``alpn`` is offered where the settings say nothing."""

    is_client_side = True

    def __init__(self, spec: Any, where: str, directory: str, world: Any, cells: TlsCells,
                 alpn: tuple[str, ...] = ()) -> None:
        Live.__init__(self, spec, where, directory, world, cells)
        self.alpn = alpn if spec.alpn is None else spec.alpn
        self.is_auto = spec.sni is None and spec.auto_sni
        self.context: contexts.Context
        self.sessions: OrderedDict[tuple[str, str], tuple[Any, int, float]] = OrderedDict()
        # the session, misses in a row, when the endpoint's certificate expires (epoch seconds)
        is_named = not self.verifier.tests and spec.auto_san_validation
        self.checks_name = is_named and not (spec.insecure_skip_verify or self.goes_by_hash())
        finish(self.load())

    def certificates(self) -> tuple[Any, ...]:
        """Return the model's certificates."""
        return () if self.spec.certificate is None else (self.spec.certificate,)

    def make(self) -> Steps:
        """Read the files and put what they hold in force; known sessions are of the old."""
        spec, rows = self.spec, []
        authorities = None
        if spec.validation is not None and not self.goes_by_hash():
            authorities = contexts.Authorities(spec.validation, self.directory)
        yield
        context = contexts.make(spec, ssl.PROTOCOL_TLS_CLIENT, self.alpn)
        if spec.certificate is not None:
            path, key_path = material.pair_paths(spec.certificate, self.directory)
            chain, found = material.read_certificates(path, "certificate_file")
            if authorities is not None:
                chain = authorities.complete(chain, found)
            material.load_pair(context, path, chain, key_path, material.read(key_path, "key_file"))
            context.local = found[0]
            rows += chain_rows(path, found)
        if spec.validation is None:
            if not spec.insecure_skip_verify:
                context.set_default_verify_paths()
                context.verify_mode = ssl.CERT_REQUIRED
        elif authorities is not None:
            authorities.load(context)
            context.verify_mode = ssl.CERT_REQUIRED
            rows += authority_rows(authorities.path, authorities.found)
        self.context = context
        self.sessions = OrderedDict()
        self.revoked = authorities.revoked if authorities is not None else []
        return rows

    def name_for(self, host: str, address: str) -> str:
        """Return the name to ask for: the configured one, the host of a request, the endpoint's own name, or "". The
        dot at the end of a name is no part of it (RFC 6066 3).
        """
        if self.spec.sni is not None:
            return self.spec.sni
        if not self.is_auto:
            return ""
        return bare(host).rstrip(".") or ("" if address.startswith("unix:") else bare(address).rstrip("."))

    def connect(self, fd: int, owner: Any, name: str, address: str, timeout_s: float,
                alpn: tuple[str, ...] = ()) -> TlsDescriptor:
        """Take a connected socket to ``address`` and ask for ``name``; ``alpn`` is offered where the settings say
        nothing. ``owner`` hears ``secured`` or ``lost``, perhaps
        before this returns.
        """
        world = self.world
        made = TlsDescriptor(fd, world.poller, owner, self)
        owner.descriptor = made
        key = (address, name)
        session, _, until_s = self.sessions.get(key, NO_SESSION)
        if session is not None and until_s < world.clock.wall():
            session = None
            del self.sessions[key]
        wanted = alpn if alpn and self.spec.alpn is None else self.alpn
        if self.spec.mesh_alpn and self.spec.alpn is None:
            wanted = of_mesh(wanted)
        self.context.set_alpn_protocols(list(wanted))  # each connection takes what is set when it is made
        try:
            engine = self.context.wrap_bio(
                made.incoming, made.outgoing, server_side=False, server_hostname=name or None, session=session)
        except (ValueError, ssl.SSLError) as error:
            made.fail(f"TLS_error:{name!r} cannot be asked for: {error}")
            return made
        made.session_key = (key, session is not None)
        made.keeps_session = self.spec.session_resumption
        made.begin(engine, world.wheel.timer(made.on_late), timeout_s)
        made.shake()
        return made

    def keep(self, made: TlsDescriptor) -> None:
        """Remember a connection's session for the next ones, unless there is one that is still good."""
        if made.engine.context is not self.context:
            return
        key, was_offered = made.session_key
        session, misses, until_s = self.sessions.get(key, NO_SESSION)
        if made.security.is_resumed:
            misses = 0
        elif was_offered or session is None:
            misses += was_offered
            session = made.engine.session if misses < MISSES else None
            peer = made.security.peer if self.context.verify_mode != ssl.CERT_NONE else None
            until_s = peer.not_after_s if peer is not None else math.inf  # nobody asks for its date
        self.sessions[key] = (session, misses, until_s)
        if len(self.sessions) > SESSIONS:
            self.sessions.popitem(last=False)

    def give_up(self, made: TlsDescriptor) -> None:
        """A connection has broken before the first byte came: if it had offered a session, that may be why."""
        key, was_offered = made.session_key
        known = self.sessions.get(key)
        if was_offered and known is not None:
            self.sessions[key] = (None, known[1] + 1, 0.0)

    def expected(self, security: Security) -> str:
        """Return the name that the endpoint's certificate must have, "" for any."""
        return security.server_name if self.checks_name else ""


def of_mesh(alpn: tuple[str, ...]) -> tuple[str, ...]:
    """Return Istio's words for protocols, its word for whatever it is, and the protocols themselves.

    ``istio-peer-exchange`` is not among them: who agrees on it expects a message about the workload first.
    """
    return (*(ISTIO_WORDS[one] for one in alpn if one in ISTIO_WORDS), ISTIO, *alpn)


def bare(host: str) -> str:
    """Return a host less its port and brackets, lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if host.count(":") == 1 else host.lower()
