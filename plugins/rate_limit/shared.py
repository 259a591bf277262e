"""The store ``redis``: buckets that all machines share which ask the same servers.

Strategy: a cluster of one endpoint is one server. With several, each key has its own: the endpoint whose hash together
with the key is the highest (rendezvous hashing), so all machines agree as long as they know the same endpoints. There
is no fallback to another server, which would know nothing: what becomes of requests then is the configuration's word.
"""

from hashlib import blake2b

from twisted.internet.defer import fail
from zope.interface import implementer

from meshd.api import ConfigurationError
from meshd_plugins.rate_limit.redis import Client, Login
from meshd_plugins.rate_limit.store import IRateLimitStore, StoreError, Verdict

MAX_KEY_BYTES = 256
"""Longer keys are written as prefix and digest."""
MAX_PASSWORD_BYTES = 4096


def key_of(prefix, limit, value):
    """Return the Redis key (bytes) of a limit's bucket for ``value`` (bytes, text, a number or None)."""
    data = b"" if value is None else b"=" + as_bytes(value)
    key = b"%b%b:%b%b" % (prefix, limit.name.encode(), limit.kind.encode(), data)
    if len(key) <= MAX_KEY_BYTES:
        return key
    return prefix + blake2b(key, digest_size=20).hexdigest().encode()


def as_bytes(value):
    """Return a key's value as bytes."""
    if isinstance(value, bytes):
        return value
    return b"%x" % value if isinstance(value, int) else value.encode("utf-8", "surrogateescape")


def server_of(key, addresses):
    """Return the address that has ``key``: ``argmax(blake2b(address, key))``, rendezvous hashing."""
    if len(addresses) == 1:
        return addresses[0]
    return max(addresses, key=lambda one: blake2b(one.encode(), digest_size=8, key=key[:64]).digest())


class Servers:
    """The clients of one cluster in this worker; outlives runtimes."""

    def __init__(self, login, timeout_s):
        self._login = login
        self._timeout_s = timeout_s
        self._clients = {}
        self._addresses = ()
        self._seen = self._site = self._cluster = None

    def use(self, site, cluster):
        """Go by the cluster of this name in the runtime of ``site`` from now on."""
        self._site = site
        self._cluster = site.cluster(cluster)
        self._refresh()
        for client in self._clients.values():
            client.use(site, self._cluster.name)

    def client(self, key):
        """Return the Client of the server that has ``key``; raises StoreError where there is no server."""
        if self._cluster is None:
            raise StoreError("connection", "not started")
        if self._cluster.endpoints is not self._seen:
            self._refresh()
        if not self._addresses:
            raise StoreError("connection", f"cluster {self._cluster.name} has no endpoint")
        return self._clients[server_of(key, self._addresses)]

    def _refresh(self):
        self._seen = self._cluster.endpoints
        self._addresses = tuple(sorted({endpoint.address for endpoint in self._seen}))
        for address in set(self._clients) - set(self._addresses):
            self._clients.pop(address).close()
        for address in self._addresses:
            if address not in self._clients:
                client = self._clients[address] = Client(address, self._login, self._timeout_s)
                client.use(self._site, self._cluster.name)

    def close(self):
        """Nobody wants them any more."""
        for client in self._clients.values():
            client.close()


@implementer(IRateLimitStore)
class RedisStore:
    """One filter's view of the servers."""

    def __init__(self, config, site):
        self._site = site
        self._cluster = config.cluster
        self._prefix = config.prefix.encode()
        login = Login(config.username, password_of(config.password_file), config.database)
        digest = blake2b(login.password.encode("utf-8", "surrogateescape"), digest_size=16).digest()
        key = ("redis", config.cluster, login.username, digest, login.database, config.timeout_s)
        self._servers = site.state("worker", key, lambda: Servers(login, config.timeout_s))

    def start(self):
        """Connect, or take over the connections that there are."""
        self._servers.use(self._site, self._cluster)

    def ask(self, limit, value):
        """Return a Deferred of a Verdict; fails with StoreError."""
        key = key_of(self._prefix, limit, value)
        try:
            client = self._servers.client(key)
        except StoreError as error:
            return fail(error)
        taken = client.take(key, limit.rate_per_s, limit.burst)
        return taken.addCallback(lambda found: Verdict(*found, limit))

    def describe(self):
        """Return words for people."""
        return f"redis at cluster {self._cluster}"


def password_of(path):
    """Return a file's first line, or '' without a file; raises ConfigurationError."""
    if path is None:
        return ""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read(MAX_PASSWORD_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    line = text.partition("\n")[0].rstrip("\r")
    if not line or len(text) > MAX_PASSWORD_BYTES:
        raise ConfigurationError(f"{path}: expected a password in the first line, {MAX_PASSWORD_BYTES} bytes at most")
    return line
