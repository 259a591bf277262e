"""What every HTTP filter, authenticator and authorizer must keep to; used by their tests, shipped or not."""

import inspect
import threading
from typing import Any

from twisted.internet import defer
from zope.interface.verify import verifyObject

from meshd.api import CONTINUE, STOP, Denied, IAuthenticator, IAuthorizer, Identity
from meshd.testing.exchange import FakeExchange, answer_of

_PHASES = ("on_request", "on_response", "on_complete")

ODD_REQUESTS = (
    ("plain", b"GET", b"/", ()),
    ("query without a value", b"GET", b"/?=&&a", ()),
    ("empty values", b"POST", b"/a", ((b"origin", b""), (b"authorization", b""), (b"cookie", b""))),
    ("huge value", b"GET", b"/b", ((b"x-huge", b"v" * 60_000), (b"authorization", b"Basic " + b"A" * 50_000))),
    ("not UTF-8", b"GET", b"/\xff\xfe?\xff=\xfe", ((b"origin", b"\xff"), (b"authorization", b"Basic \xff\x80"))),
    ("repeated", b"GET", b"/c", ((b"accept-encoding", b"gzip"), (b"accept-encoding", b"br;q=oops"))),
    ("two origins", b"GET", b"/c", ((b"origin", b"http://a"), (b"origin", b"http://b"))),
    ("preflight", b"OPTIONS", b"*", ((b"origin", b"null"), (b"access-control-request-method", b"GET"))),
    ("head", b"HEAD", b"/d", ((b"accept-encoding", b"gzip, br"),)),
    ("chunked", b"PUT", b"/e", ((b"transfer-encoding", b"chunked"),)),
    ("old client", b"GET", b"/f", ((b"connection", b"close"),)),
)


def odd_exchanges() -> list[tuple[str, FakeExchange]]:
    """Return (what is odd, exchange) pairs that no plugin may raise on."""
    return [(name, FakeExchange(method, target, headers)) for name, method, target, headers in ODD_REQUESTS]


def is_later(answer: Any) -> bool:
    """Say whether ``answer`` is one that is waited for: a Deferred or a coroutine."""
    return isinstance(answer, defer.Deferred) or inspect.iscoroutine(answer)


def discard(answer: Any) -> None:
    """Let go of an answer that nobody will read."""
    if inspect.iscoroutine(answer):
        answer.close()
    elif isinstance(answer, defer.Deferred):
        answer.addErrback(lambda failure: None)


class Contract:
    """What holds for every plugin object: ``make`` builds one as ``build(config, site)`` does."""

    def make(self) -> Any:
        """Return a new object, not started."""
        raise NotImplementedError("make: expected a new object, not started")

    def test_building_starts_no_thread(self):
        before = threading.active_count()
        self.make()
        self.assertEqual(threading.active_count(), before)

    def test_two_objects_can_be_built(self):
        self.assertIsNot(self.make(), self.make())

    def test_start_and_stop_take_no_argument(self):
        plugin = self.make()
        for name in ("start", "stop"):
            method = getattr(plugin, name, None)
            if method is not None:
                inspect.signature(method).bind()

    def test_can_be_stopped_without_having_been_started(self):
        plugin = self.make()
        if hasattr(plugin, "stop"):
            plugin.stop()


class HttpFilterContract(Contract):
    """For ``http_filter``: at least one phase; verdicts only; no request makes it raise."""

    def test_has_a_phase_and_each_takes_the_exchange(self):
        plugin = self.make()
        phases = [getattr(plugin, name) for name in _PHASES if hasattr(plugin, name)]
        self.assertTrue(phases, f"expected at least one of {_PHASES}")
        for phase in phases:
            inspect.signature(phase).bind(object())

    def test_answers_a_verdict_to_every_request(self):
        for name, exchange in odd_exchanges():
            with self.subTest(name):
                answer = self._request(self.make(), exchange)
                self.assertTrue(answer in (CONTINUE, STOP) or is_later(answer), f"got {answer!r}")
                discard(answer)

    def test_stops_exactly_when_it_has_replied(self):
        for name, exchange in odd_exchanges():
            with self.subTest(name):
                answer = self._request(self.make(), exchange)
                if is_later(answer):
                    discard(answer)
                    continue
                took_over = bool(exchange.replies) or exchange.plan is not None
                self.assertEqual(answer is STOP, took_over)
                self.assertLessEqual(len(exchange.replies), 1)

    def test_leaves_every_response_sendable(self):
        for name, exchange in odd_exchanges():
            for status in (200, 204, 206, 304, 404, 503):
                with self.subTest(name, status=status):
                    self._check_response(self.make(), exchange, status)

    def test_one_object_serves_interleaved_requests(self):
        plugin = self.make()
        exchanges = [exchange for _, exchange in odd_exchanges()]
        for exchange in exchanges:
            discard(self._request(plugin, exchange))
        for exchange in reversed(exchanges):
            if not exchange.replies:
                exchange.respond(200, [(b"content-type", b"text/plain")], 5)
            self._respond(plugin, exchange)
            self._complete(plugin, exchange)

    def test_completion_without_a_response_is_survived(self):
        plugin = self.make()
        for _, exchange in odd_exchanges():
            discard(self._request(plugin, exchange))
            self._complete(plugin, exchange)

    def _check_response(self, plugin: Any, exchange: FakeExchange, status: int) -> None:
        discard(self._request(plugin, exchange))
        exchange.respond(status, [(b"content-type", b"text/html; charset=\xff")], 4096)
        self._respond(plugin, exchange)
        length = exchange.response.headers.get(b"content-length")
        self.assertIn(length, (None, b"%d" % exchange.response.content_length))
        for chunk in exchange.response_body(b"x" * 4096, b""):
            self.assertIsInstance(chunk, bytes)
        exchange.response_transforms.clear()
        self._complete(plugin, exchange)

    @staticmethod
    def _request(plugin: Any, exchange: FakeExchange) -> Any:
        exchange.phase = "request"
        return plugin.on_request(exchange) if hasattr(plugin, "on_request") else CONTINUE

    @staticmethod
    def _respond(plugin: Any, exchange: FakeExchange) -> None:
        if hasattr(plugin, "on_response"):
            exchange.response_phase(plugin)

    @staticmethod
    def _complete(plugin: Any, exchange: FakeExchange) -> None:
        if hasattr(plugin, "on_complete"):
            exchange.complete(plugin)


class AuthenticatorContract(Contract):
    """For ``authenticator``. ``good()`` returns an exchange that ``make()`` must accept, ``bad()`` one it must deny."""

    def good(self) -> FakeExchange:
        """Return an exchange with valid credentials."""
        raise NotImplementedError("good: expected an exchange with valid credentials")

    def bad(self) -> FakeExchange:
        """Return an exchange with credentials of this kind that are wrong."""
        raise NotImplementedError("bad: expected an exchange with wrong credentials")

    def settle(self, answer: Any) -> Any:
        """Return what ``answer`` comes to; override where time or threads must be moved on."""
        return answer_of(answer)

    def test_provides_the_interface(self):
        self.assertTrue(verifyObject(IAuthenticator, self.make(), tentative=True))

    def test_valid_credentials_give_an_identity(self):
        identity = self.settle(self.make().authenticate(self.good()))
        self.assertIsInstance(identity, Identity)
        self.assertTrue(identity.name and identity.method)

    def test_wrong_credentials_are_denied(self):
        with self.assertRaises(Denied):
            self.settle(self.make().authenticate(self.bad()))

    def test_no_credentials_are_none(self):
        self.assertIsNone(self.settle(self.make().authenticate(FakeExchange())))

    def test_odd_requests_give_none_or_denied(self):
        for name, exchange in odd_exchanges():
            with self.subTest(name):
                try:
                    self.assertIsNone(self.settle(self.make().authenticate(exchange)))
                except Denied:
                    pass

    def test_decides_without_changing_exchange_or_identity(self):
        exchange = self.good()
        self.settle(self.make().authenticate(exchange))
        self.assertIsNone(exchange.identity)
        self.assertFalse(exchange.replies)


class AuthorizerContract(Contract):
    """For ``authorizer``. ``allowed()`` and ``refused()`` return exchanges that ``make()`` must judge so."""

    def allowed(self) -> FakeExchange:
        """Return an exchange that may go on."""
        raise NotImplementedError("allowed: expected an exchange that may go on")

    def refused(self) -> FakeExchange:
        """Return an exchange that may not."""
        raise NotImplementedError("refused: expected an exchange that may not go on")

    def settle(self, answer: Any) -> Any:
        """Return what ``answer`` comes to."""
        return answer_of(answer)

    def test_provides_the_interface(self):
        self.assertTrue(verifyObject(IAuthorizer, self.make(), tentative=True))

    def test_says_true_to_what_is_allowed(self):
        self.assertIs(self.settle(self.make().authorize(self.allowed())), True)

    def test_says_false_to_what_is_not(self):
        self.assertIs(self.settle(self.make().authorize(self.refused())), False)

    def test_odd_requests_get_a_plain_answer(self):
        for name, exchange in odd_exchanges():
            with self.subTest(name):
                self.assertIn(self.settle(self.make().authorize(exchange)), (True, False))

    def test_never_replies_itself(self):
        exchange = self.refused()
        self.settle(self.make().authorize(exchange))
        self.assertFalse(exchange.replies)
