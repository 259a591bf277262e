"""authentication: strangers are refused, credentials stay here, and nothing makes it fail open."""

import unittest

from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from meshd.api import CONTINUE, STOP, Denied, Identity, Plugin
from meshd.testing.contract.http import HttpFilterContract
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.authentication.api_key import ApiKey
from meshd_plugins.authentication.basic import Basic
from meshd_plugins.authentication.filter import Authentication
from tests.plugins.caller import ANN, HASH, KEY, Stub, api_key, asked, basic, basic_pair, filter_of


class FilterContract(HttpFilterContract, unittest.TestCase):
    def make(self):
        return filter_of(basic(), api_key(query="key", cookie="key"), forward_identity_header="x-auth-user")


class OpenFilterContract(HttpFilterContract, unittest.TestCase):
    def make(self):
        return filter_of(basic(), api_key(query="key", cookie="key"), allow_missing=True)


class Verdicts(unittest.TestCase):
    def test_the_first_identity_wins_and_the_rest_is_not_asked(self):
        exchange = FakeExchange()
        self.assertIs(exchange.request_phase(filter_of(Stub(None), Stub(ANN), Stub(RuntimeError("asked")))), CONTINUE)
        self.assertEqual(exchange.identity, ANN)

    def test_a_synchronous_answer_makes_no_deferred(self):
        self.assertIs(filter_of(Stub(None), Stub(ANN)).on_request(FakeExchange()), CONTINUE)

    def test_no_credentials_are_401_with_a_challenge_of_each_kind(self):
        exchange = FakeExchange()
        self.assertIs(exchange.request_phase(filter_of(basic(), api_key(), realm="shop")), STOP)
        reply = exchange.replies[0]
        self.assertEqual((reply.status, reply.detail), (401, "authentication_missing_credentials"))
        self.assertEqual([value for name, value in reply.headers], [
            b'Basic realm="shop", charset="UTF-8"', b'ApiKey realm="shop"',
        ])

    def test_no_credentials_pass_without_an_identity_where_allowed(self):
        exchange = FakeExchange()
        self.assertIs(exchange.request_phase(filter_of(Stub(None), allow_missing=True)), CONTINUE)
        self.assertIsNone(exchange.identity)

    def test_wrong_credentials_are_401_even_where_none_are_allowed(self):
        for late in (Denied("no"), lambda: fail(Denied("no"))):
            exchange = FakeExchange()
            self.assertIs(exchange.request_phase(filter_of(Stub(late), Stub(ANN), allow_missing=True)), STOP)
            self.assertEqual((exchange.replies[0].status, exchange.detail), (401, "authentication_denied"))
            self.assertNotIn(b"no", exchange.replies[0].body.replace(b"authentication", b""))

    def test_waits_for_deferreds_and_coroutines(self):
        async def later():
            return ANN

        for answer in (lambda: succeed(ANN), later):
            exchange = FakeExchange()
            self.assertIs(exchange.request_phase(filter_of(Stub(lambda: succeed(None)), Stub(answer))), CONTINUE)
            self.assertEqual(exchange.identity, ANN)

    def test_a_client_that_leaves_meanwhile_is_not_answered_and_is_no_error(self):
        exchange = FakeExchange()
        filter = filter_of(Stub(Deferred), allow_missing=True)
        verdict = Deferred.fromCoroutine(filter.on_request(exchange))
        verdict.addErrback(lambda failure: failure.trap(CancelledError))
        verdict.cancel()
        self.assertEqual((exchange.replies, filter._failed.value), ([], 0))

    def test_a_late_none_of_all_is_401(self):
        exchange = FakeExchange()
        self.assertIs(exchange.request_phase(filter_of(*[Stub(lambda: succeed(None))] * 3)), STOP)
        self.assertEqual(exchange.replies[0].status, 401)

    def test_whatever_breaks_is_refused(self):
        late = (lambda: fail(RuntimeError("x")), lambda: succeed("ann"), lambda: succeed(True))
        for answer in (RuntimeError("x"), True, "ann", *late):
            with self.subTest(answer=answer):
                exchange = FakeExchange()
                filter = filter_of(Stub(answer), Stub(ANN), allow_missing=True)
                self.assertIs(exchange.request_phase(filter), STOP)
                self.assertEqual((exchange.replies[0].status, exchange.identity), (500, None))


class IdentityHeader(unittest.TestCase):
    def upstream(self, *headers, answer=ANN, **options):
        exchange = FakeExchange(headers=headers)
        exchange.request_phase(filter_of(Stub(answer), forward_identity_header="x-auth-user", **options))
        return list(exchange.request.headers)[1:]

    def test_names_the_caller_and_drops_what_the_client_sent(self):
        forged = (b"X-Auth-User", b"root"), (b"x-auth-user", b"root")
        self.assertEqual(self.upstream(*forged), [(b"x-auth-user", b"ann")])

    def test_is_dropped_also_where_nobody_is_known(self):
        self.assertEqual(self.upstream((b"x-auth-user", b"root"), answer=None, allow_missing=True), [])

    def test_is_dropped_also_when_spelt_with_underscores(self):
        spelt = [(name, b"root") for name in (b"x_auth_user", b"X-Auth_User", b"x_auth-user")]
        self.assertEqual(self.upstream(*spelt, (b"x_other", b"1")), [(b"x_other", b"1"), (b"x-auth-user", b"ann")])

    def test_a_name_cannot_inject_a_line(self):
        evil = Identity(name="a\r\nx-admin: 1", method="stub")
        self.assertEqual(self.upstream(answer=evil), [(b"x-auth-user", b"ax-admin: 1")])


class Stripping(unittest.TestCase):
    def test_credentials_do_not_reach_the_upstream_by_default(self):
        exchange = asked()
        exchange.request_phase(filter_of(basic()))
        self.assertNotIn(b"authorization", exchange.request.headers)

    def test_those_of_authenticators_that_were_not_asked_go_too(self):
        exchange = FakeExchange(headers=[basic_pair(b"ali", b"open sesame"), (b"x-api-key", b"anything")])
        exchange.request_phase(filter_of(basic(), api_key()))
        self.assertNotIn(b"x-api-key", exchange.request.headers)

    def test_they_are_kept_where_asked(self):
        exchange = asked()
        exchange.request_phase(filter_of(basic(forward=True)))
        self.assertIn(b"authorization", exchange.request.headers)

    def test_authorization_of_another_scheme_stays(self):
        exchange = FakeExchange(headers=[(b"authorization", b"Bearer abc")])
        exchange.request_phase(filter_of(basic(), allow_missing=True))
        self.assertIn(b"authorization", exchange.request.headers)

    def test_query_and_cookie_lose_only_the_key(self):
        site_of = filter_of(api_key(header=None, query="key", cookie="key"))
        exchange = FakeExchange(b"GET", f"/p?a=1&k%65y={KEY}&b=2".encode(), [(b"cookie", b"a=1; key=zzz; b=2")])
        exchange.request_phase(site_of)
        self.assertEqual(exchange.identity.name, "robot")
        self.assertEqual(exchange.request.target, b"/p?a=1&b=2")
        self.assertEqual(exchange.request.headers.get_all(b"cookie"), [b"a=1; b=2"])


class Configuration(unittest.TestCase):
    def test_the_shipped_types_are_built_through_the_site(self):
        keys = ApiKey(keys=(("r", KEY),), header="x-k")
        config = Authentication(authenticators=(
            Plugin(kind="authenticator", type="basic", config=Basic(users=(("ali", HASH),)), name="basic"),
            Plugin(kind="authenticator", type="api_key", config=keys, name="api_key"),
        ))
        filter = FakeSite().make("http_filter", "authentication", config)
        exchange = FakeExchange(headers=[(b"x-k", KEY.encode())])
        self.assertIs(exchange.request_phase(filter), CONTINUE)
        self.assertEqual(exchange.identity, Identity(name="r", method="api_key"))


class Explained(unittest.TestCase):
    def said(self, *stubs, exchange=None, **options):
        exchange = exchange or FakeExchange()
        return filter_of(*stubs, **options).explain(exchange), exchange

    def test_nobody_is_asked_who_cannot_tell_at_once(self):
        text, exchange = self.said(Stub(RuntimeError("asked")))
        self.assertIn("cannot tell without being asked", text)
        self.assertEqual(exchange.replies, [])

    def test_a_key_is_looked_up(self):
        text, exchange = self.said(basic(), api_key(), exchange=FakeExchange(headers=[(b"x-api-key", KEY.encode())]))
        self.assertIn("knows the caller", text)
        self.assertEqual(exchange.identity.method, "api_key")

    def test_a_wrong_key_and_none_are_refused_as_the_filter_does(self):
        text, exchange = self.said(api_key(), exchange=FakeExchange(headers=[(b"x-api-key", b"wrong" * 8)]))
        self.assertIn("denies: unknown key", text)
        self.assertEqual(exchange.replies[0].detail, "authentication_denied")
        text, exchange = self.said(api_key())
        self.assertEqual((text, exchange.replies[0].status), ("no credentials: refuses", 401))

    def test_none_may_pass(self):
        text, exchange = self.said(api_key(), allow_missing=True)
        self.assertEqual((text, exchange.replies), ("no credentials: passes the request on without an identity", []))

    def test_no_password_is_hashed(self):
        text, exchange = self.said(basic(), exchange=asked())
        self.assertRegex(text, "checks the password of the known user ali")
        self.assertEqual((exchange.replies, exchange.identity), ([], None))

    def test_nothing_is_counted(self):
        filter = filter_of(api_key())
        filter.explain(FakeExchange())
        self.assertEqual(filter._missing.value, 0)
