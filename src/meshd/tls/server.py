"""TLS towards clients: several certificates, chosen by the name that is asked for and by the client's kinds of key.

OpenSSL chooses between an RSA and an ECDSA chain by itself where both are in one context, so there is a context for
each set of certificates that some name has; a table says which.
"""

import ssl
import weakref
from typing import Any

from meshd.tls import context as contexts
from meshd.tls import direct, known, material
from meshd.tls.cells import TlsCells
from meshd.tls.live import Live, Steps, authority_rows, chain_rows, finish
from meshd.tls.verify import UNKNOWN_HASH
from meshd.wire.tls.certificate import DNS, Certificate
from meshd.wire.tls.layer import TlsDescriptor

_MODES = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class Pair:
    """A chain and its key, read; the key is let go of with this object, once the contexts are made."""

    def __init__(self, spec: Any, directory: str) -> None:
        self.path, self.key_path = material.pair_paths(spec, directory)
        self.chain, found = material.read_certificates(self.path, "certificate_file")
        self.key = material.read(self.key_path, "key_file")
        self.found = found
        self.leaf: Certificate = found[0]

    def names(self) -> list[str]:
        """Return the names that it is for, lower case; its common name where it has no other."""
        return [name.lower() for name in self.leaf.values(DNS) or [self.leaf.common_name] if name]


class Choice:
    """Contexts by name. ``default`` is shown to who asks for no name, or for one that no certificate has."""

    def __init__(self, default: contexts.Context, exact: dict[str, Any], wildcards: dict[str, Any]) -> None:
        self.default = default
        self.exact = exact
        self.wildcards = wildcards

    def of(self, name: str) -> contexts.Context:
        """Return the context for a server name."""
        name = name.lower().rstrip(".")
        found = self.exact.get(name)
        if found is None and self.wildcards:
            found = self.wildcards.get(name.partition(".")[2])
        return self.default if found is None else found

    def end(self) -> Steps:
        """Let go of the contexts one by one, once others are in force: OpenSSL takes its time for each."""
        for table in (self.exact, self.wildcards):
            while table:
                table.popitem()
                yield


class ServerTls(Live):
    """The TLS of a listener's chain. ``alpn`` is offered where the settings say nothing. Unless it ``loads`` at once,
    that is its maker's business.
    """

    def __init__(self, spec: Any, where: str, directory: str, world: Any, cells: TlsCells,
                 alpn: tuple[str, ...] = (), loads: bool = True) -> None:
        Live.__init__(self, spec, where, directory, world, cells)
        self.alpn = alpn if spec.alpn is None else spec.alpn
        self.handshake_timeout_s = spec.handshake_timeout_s
        self.choice: Choice | None = None
        if loads:
            finish(self.load())

    def certificates(self) -> tuple[Any, ...]:
        """Return the model's certificates."""
        return self.spec.certificates

    def load(self) -> Steps:
        """Read all files; see ``Live.load``."""
        old = self.choice
        yield from Live.load(self)
        if old is not None:
            yield from old.end()

    def make(self) -> Steps:
        """Read the files and put what they hold in force."""
        authorities = None
        if self.spec.validation is not None:  # before the first step: whether there are revocation lists is known
            authorities = contexts.Authorities(self.spec.validation, self.directory)
        pairs = []
        for one in self.spec.certificates:
            pairs.append(Pair(one, self.directory))
            yield
        made: dict[tuple[int, ...], contexts.Context] = {}
        fitting: dict[str, list[int]] = {}
        for number, pair in enumerate(pairs):
            made[number,] = self._context([pair], authorities)  # one that does not fit is a fault, shown or not
            for name in dict.fromkeys(pair.names()):
                fitting.setdefault(name, []).append(number)
            yield
        default = one_of_each(pairs, list(range(len(pairs))))
        chosen = {name: one_of_each(pairs, numbers) for name, numbers in fitting.items()}
        for numbers in (default, *chosen.values()):
            if numbers not in made:
                made[numbers] = self._context([pairs[number] for number in numbers], authorities)
                yield
        tables: tuple[dict, dict] = ({}, {})
        for name, numbers in chosen.items():
            is_wild = name.startswith("*.")
            tables[is_wild][name[2:] if is_wild else name] = made[numbers]
        self.choice = Choice(made[default], *tables)
        rows = [row for pair in pairs for row in chain_rows(pair.path, pair.found)]
        self.revoked = authorities.revoked if authorities is not None else []
        return rows + (authority_rows(authorities.path, authorities.found) if authorities is not None else [])

    def _context(self, pairs: list[Pair], authorities: Any) -> contexts.Context:
        context = contexts.make(self.spec, ssl.PROTOCOL_TLS_SERVER, self.alpn)
        for pair in pairs:
            chain = pair.chain if authorities is None else authorities.complete(pair.chain, pair.found)
            material.load_pair(context, pair.path, chain, pair.key_path, pair.key)
        context.local = pairs[0].leaf
        if authorities is None:
            direct.keep_chain(context)
        else:
            authorities.load(context)
            context.verify_mode = _MODES[self.spec.client_certificate]
            if self.goes_by_hash():
                known.trust_known(context, self)
        ours = weakref.ref(self)
        context.sni_callback = lambda engine, name, first: choose(ours(), engine, name)
        return context

    def on_error(self, error: ssl.SSLError) -> str:
        """Count what OpenSSL has refused; where hashes alone decide, a chain to nobody is a hash that nobody knows."""
        if self.goes_by_hash() and getattr(error, "verify_code", 0) in known.TO_NOBODY:
            self.cells.fail_verify_cert_hash.value += 1
            return f"TLS_error: {UNKNOWN_HASH}"
        return Live.on_error(self, error)

    def wrap(self, descriptor: Any, owner: Any, early: bytes) -> TlsDescriptor:
        """Take the place of a plain descriptor, from which ``early`` has been read; see ``accept``."""
        return self.accept(descriptor.hand_over(), owner, early)

    def accept(self, fd: int, owner: Any, early: bytes = b"") -> TlsDescriptor:
        """Take a client's connected socket; ``early`` has been read of it. ``owner`` hears ``secured`` or ``lost``,
        perhaps before this returns.
        """
        world = self.world
        made = TlsDescriptor(fd, world.poller, owner, self)
        engine = self.choice.default.wrap_bio(made.incoming, made.outgoing, server_side=True)
        owner.descriptor = made
        made.begin(engine, world.wheel.timer(made.on_late), self.handshake_timeout_s, early)
        return made


def choose(tls: ServerTls | None, engine: Any, name: str | None) -> None:
    """A client has said its hello: show what fits the name that it asks for (OpenSSL's callback)."""
    if name:
        engine.requested_name = name
        if tls is not None:
            context = tls.choice.of(name)
            if context is not engine.context:
                engine.context = context


def one_of_each(pairs: list[Pair], numbers: list[int]) -> tuple[int, ...]:
    """Return the first of each type of key."""
    first: dict[str, int] = {}
    for number in numbers:
        first.setdefault(pairs[number].leaf.key_type, number)
    return tuple(first.values())
