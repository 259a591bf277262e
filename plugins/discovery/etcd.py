"""The discovery ``etcd``: endpoints that stand as JSON under a prefix of etcd v3, read and watched by its JSON gateway.

https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/ has the way in, ``etcd_wire`` the messages. All keys of the prefix
are read at one revision, and the watch begins after it. What a compaction has taken away is read anew. A watch is begun
anew every minute: that it begins shows that the server lives, which a silent connection does not.
"""

from typing import Any

from twisted.internet.defer import Deferred, succeed

from meshd.api import CallAnswer, File, PluginType, Text, config, option

from meshd_plugins.discovery import etcd_wire as wire
from meshd_plugins.discovery.follow import Follower, Lines
from meshd_plugins.discovery.remote import Remote, RemoteOptions, check_status, decoder, references
from meshd_plugins.discovery.secret import Secret
from meshd_plugins.discovery.source import Answer, Discovery, SourceError

WATCH_S = 60.0
PAGE = 1000
"""Keys that are asked for at once."""
REQUIRE_LEADER = (b"grpc-metadata-hasleader", b"true")
"""A member that has lost its cluster ends the watch in place of being silent."""


@config
class EtcdOptions(RemoteOptions):
    """etcd v3."""

    prefix: str = option(Text(minimum=1), doc="what the keys begin with: /meshd/users/")
    user: str = option(Text(), default="", doc="user name, where etcd has authentication turned on")
    password_file: str | None = option(File(), default=None, doc="file of the password; credential:NAME for systemd's")
    password_env: str = option(Text(), default="", doc="environment variable that holds the password")

    def check(self):
        """Yield faults between fields."""
        if self.password_file and self.password_env:
            yield "password_env", "expected either password_file or password_env, not both"
        if bool(self.user) != bool(self.password_file or self.password_env):
            yield "user", "expected user and password_file (or password_env), or neither"


class EtcdSource(Follower):
    """Keeps the targets by key, and the revision that they have."""

    def __init__(self, options: EtcdOptions, site: Any) -> None:
        super().__init__(options, site)
        self.name = f"etcd {options.cluster} {options.prefix}"
        self._prefix = options.prefix.encode()
        self._remote = Remote(options, site, _token)
        self._password = Secret(options.password_file, options.password_env, site)
        self._in_thread = site.in_thread
        self._token: bytes | None = None
        self._revision = 0
        self._found: dict[bytes, list[dict[str, str]]] = {}
        self._faults: dict[bytes, str] = {}

    def fetch(self) -> Deferred:
        """Read all keys, as they were at one revision."""
        return self._authenticated().addCallback(lambda _: self._page([], self._prefix, 0))

    def follow(self) -> Deferred:
        """Watch the prefix from the next revision on."""
        return _Watch(self, self._clock, self._options.max_answer_bytes).begin()

    def answer(self) -> Answer:
        """Return what stands in the values; a value that cannot be read leaves what its key had before."""
        targets = [target for found in self._found.values() for target in found]
        return Answer(targets=targets, faults=tuple(self._faults.values()))

    def ask(self, path: str, message: Any, **request: Any) -> Deferred:
        """Post a message; a failure may be the token's, so the next one gets another."""
        headers = [(b"content-type", b"application/json"), REQUIRE_LEADER]
        if self._token is not None:
            headers.append(_token(self._token))
        asked = self._remote.ask(
            path, headers, method=b"POST", body=wire.encode(message), is_repeatable=True, **request)
        return asked.addCallbacks(self._checked, self._forget)

    def watch_request(self) -> Any:
        """Return the message that begins a watch where we are."""
        return wire.WatchRequest(wire.CreateRequest(
            key=self._prefix, range_end=wire.range_end(self._prefix), start_revision=self._revision + 1))

    def take(self, result: wire.WatchResult) -> None:
        """Apply what a watch says."""
        for event in result.events:
            key = event.kv.key
            self._faults.pop(key, None)
            if event.type == wire.DELETE:
                self._found.pop(key, None)
            else:
                self._read(key, event.kv.value)
        self._revision = max(self._revision, result.revision)
        if result.events:
            self.changed()
        else:
            self.confirmed()

    def _page(self, kvs: list[wire.KeyValue], start: bytes, revision: int) -> Deferred:
        message = wire.RangeRequest(
            key=start, range_end=wire.range_end(self._prefix), limit=PAGE, revision=revision or None)
        return self.ask("/v3/kv/range", message).addCallback(self._take_page, kvs, revision)

    def _take_page(self, answer: CallAnswer, kvs: list[wire.KeyValue], revision: int) -> Any:
        found = read_range(answer.body)
        kvs += found.kvs
        revision = revision or found.header.revision
        if found.more and found.kvs:
            return self._page(kvs, kvs[-1].key + b"\0", revision)
        rows = [(one.key, one.value) for one in kvs]
        return self._in_thread(wire.parse_all, rows, self._found).addCallback(self._take_all, revision)

    def _take_all(self, parsed: tuple[dict, dict], revision: int) -> None:
        self._found, self._faults = parsed
        self._revision = revision

    def _read(self, key: bytes, value: bytes) -> None:
        try:
            self._found[key] = wire.parse(key, value)
        except ValueError as error:
            self._faults[key] = str(error)

    def _authenticated(self) -> Deferred:
        if not self._options.user or self._token is not None:
            return succeed(None)
        return self._password.fetch().addCallback(self._authenticate)

    def _authenticate(self, password: bytes) -> Deferred:
        message = wire.AuthenticateRequest(name=self._options.user, password=password.decode("ascii"))
        return self.ask("/v3/auth/authenticate", message).addCallback(self._take_token)

    def _take_token(self, answer: CallAnswer) -> None:
        self._token = read_token(answer.body).token.encode("ascii", "replace")

    def _checked(self, answer: CallAnswer) -> CallAnswer:
        if answer.status != 200:
            self._token = None
        check_status(answer, 200)
        return answer

    def _forget(self, why: Any) -> Any:
        self._token = None
        return why


class _Watch:
    """One watch; ``begin()`` returns the Deferred of whether the next can go on where this one ended."""

    def __init__(self, source: EtcdSource, clock: Any, limit_bytes: int) -> None:
        self._source = source
        self._clock = clock
        self._lines = Lines(self._take, limit_bytes)
        self._is_created = False
        self._is_compacted = False
        self._timer: Any = None
        self._call: Any = None
        self._is_over = False
        self._done: Deferred = Deferred(lambda _: self._end())

    def begin(self) -> Deferred:
        """Ask for it."""
        self._timer = self._clock.call_later(WATCH_S, self._renew)
        self._call = self._source.ask("/v3/watch", self._source.watch_request(), on_data=self._lines.feed)
        self._call.addCallbacks(lambda answer: self._finish(True), self._lost)
        return self._done

    def _take(self, line: bytes) -> None:
        message = read_watch(line)
        result = message.result
        if result is None:
            raise SourceError(f"watch: {message.error.message if message.error else 'nothing was said'}")
        if result.compact_revision:
            self._is_compacted = True
            raise SourceError("watch: what came since has been compacted")
        if result.canceled:
            raise SourceError(f"watch: cancelled: {result.cancel_reason or 'no reason given'}")
        self._is_created = True
        self._source.take(result)

    def _renew(self) -> None:
        self._finish(True if self._is_created else SourceError(f"watch: not begun within {WATCH_S:g} s"))

    def _lost(self, why: Any) -> None:
        self._finish(False if self._is_compacted else why)

    def _finish(self, result: Any) -> None:
        """Say how it ended; a failure stands for itself."""
        if not self._is_over:
            self._end()
            self._done.callback(result) if isinstance(result, bool) else self._done.errback(result)

    def _end(self) -> None:
        self._is_over = True
        if self._timer.active():
            self._timer.cancel()
        if self._call is not None:
            self._call.cancel()


read_range = decoder(wire.RangeResult, strict=False)
read_watch = decoder(wire.WatchMessage, strict=False)
read_token = decoder(wire.AuthenticateResult)


def _token(token: bytes) -> tuple[bytes, bytes]:
    return b"authorization", token


def build(config: EtcdOptions, site: Any) -> Discovery:
    """Return a Discovery."""
    return Discovery("etcd", EtcdSource(config, site), config, site)


TYPE = PluginType(
    kind="discovery", name="etcd", config=EtcdOptions, build=build, references=references,
    doc="Endpoints under a prefix of etcd v3, which is watched.",
)
