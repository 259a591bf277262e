"""authentication: callers are known by password or key, strangers are refused, and nothing makes it fail open."""

import base64
import hashlib
import os
import subprocess
import sys
import tempfile
import unittest

from twisted.internet.defer import Deferred, fail, succeed

from meshd.api import CONTINUE, STOP, ConfigurationError, Denied, Identity, Plugin, PluginError
from meshd.testing.contract.http import AuthenticatorContract, HttpFilterContract
from meshd.testing.exchange import FakeExchange, answer_of
from meshd.testing.site import FakeSite
from meshd_plugins.authentication.api_key import ApiKey, ApiKeyAuthenticator
from meshd_plugins.authentication.basic import Basic, BasicAuthenticator
from meshd_plugins.authentication.filter import Authentication, AuthenticationFilter
from meshd_plugins.authentication.password import make, parse
from tests.plugins.reading import read

HASH = make(b"open sesame", n=16)
SHA = "{SHA}" + base64.b64encode(hashlib.sha1(b"old").digest()).decode()
KEY = "0123456789abcdef-key"


class CountingSite(FakeSite):
    """Counts what goes to a thread; with ``holds`` the results wait in ``held``."""

    def __init__(self, holds=False):
        super().__init__()
        self.hashes = 0
        self.holds = holds
        self.held = []

    def in_thread(self, function, *args):
        self.hashes += 1
        if not self.holds:
            return super().in_thread(function, *args)
        waiting = Deferred()
        self.held.append(lambda: waiting.callback(function(*args)))
        return waiting


def basic_pair(user, password):
    return (b"authorization", b"Basic " + base64.b64encode(user + b":" + password))


def asked(user=b"ali", password=b"open sesame", **attributes):
    return FakeExchange(headers=[basic_pair(user, password)], **attributes)


def basic(site=None, **options):
    options = {"users": (("ali", HASH), ("old", SHA)), **options}
    return BasicAuthenticator(Basic(**options), site or FakeSite())


def api_key(**options):
    return ApiKeyAuthenticator(ApiKey(**{"keys": (("robot", KEY),), "header": "x-api-key", **options}), FakeSite())


class Stub:
    """An authenticator with a given answer."""

    def __init__(self, answer):
        self.answer = answer

    def authenticate(self, exchange):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer() if callable(self.answer) else self.answer


class StubSite(FakeSite):
    """``build`` returns the plugin's config itself."""

    def build(self, plugin):
        return plugin.config


def filter_of(*authenticators, **options):
    plugins = tuple(
        Plugin(kind="authenticator", type="stub", config=one, name=f"stub{number}")
        for number, one in enumerate(authenticators)
    )
    return AuthenticationFilter(Authentication(authenticators=plugins, **options), StubSite())


ANN = Identity(name="ann", method="stub")


class FilterContract(HttpFilterContract, unittest.TestCase):
    def make(self):
        return filter_of(basic(), api_key(query="key", cookie="key"), forward_identity_header="x-auth-user")


class OpenFilterContract(HttpFilterContract, unittest.TestCase):
    def make(self):
        return filter_of(basic(), api_key(query="key", cookie="key"), allow_missing=True)


class BasicContract(AuthenticatorContract, unittest.TestCase):
    def make(self):
        return basic()

    def good(self):
        return asked()

    def bad(self):
        return asked(password=b"wrong")


class ApiKeyContract(AuthenticatorContract, unittest.TestCase):
    def make(self):
        return api_key()

    def good(self):
        return FakeExchange(headers=[(b"x-api-key", KEY.encode())])

    def bad(self):
        return FakeExchange(headers=[(b"x-api-key", b"another")])


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


class Passwords(unittest.TestCase):
    def test_both_hash_forms_are_checked(self):
        one = basic()
        self.assertEqual(answer_of(one.authenticate(asked())).name, "ali")
        self.assertEqual(answer_of(one.authenticate(asked(b"old", b"old"))).name, "old")

    def test_malformed_credentials_are_denied(self):
        for value in (b"Basic ???", b"Basic YWJj", b"basic " + b"A" * 8000, b"Basic YTpi YTpi"):
            exchange = FakeExchange(headers=[(b"authorization", value)])
            with self.subTest(value[:20]):
                self.assertRaises(Denied, lambda: answer_of(basic().authenticate(exchange)))

    def test_two_authorization_lines_are_denied(self):
        exchange = FakeExchange(headers=[basic_pair(b"ali", b"open sesame"), basic_pair(b"old", b"old")])
        self.assertRaises(Denied, lambda: answer_of(basic().authenticate(exchange)))

    def test_an_unknown_user_costs_the_same_work(self):
        site = CountingSite()
        one = basic(site)
        for user in (b"ali", b"nobody"):
            self.assertRaises(Denied, lambda: answer_of(one.authenticate(asked(user, b"wrong"))))
        self.assertEqual(site.hashes, 2)

    def test_a_verified_password_is_hashed_once_until_its_time_is_over(self):
        site = CountingSite()
        one = basic(site, cache_ttl_s=60.0)
        answer_of(one.authenticate(asked()))
        self.assertIsInstance(one.authenticate(asked()), Identity)
        site.advance(59.0)
        self.assertIsInstance(one.authenticate(asked()), Identity)
        site.advance(2.0)
        answer_of(one.authenticate(asked()))
        self.assertEqual(site.hashes, 2)

    def test_a_refusal_is_remembered_for_a_short_time_only(self):
        site = CountingSite()
        one = basic(site)
        for advance_s in (0.0, 1.0, 5.0):
            site.advance(advance_s)
            self.assertRaises(Denied, lambda: answer_of(one.authenticate(asked(password=b"wrong"))))
        self.assertEqual(site.hashes, 2)

    def test_what_is_remembered_is_bounded(self):
        one = basic(cache_size=5)
        for number in range(20):
            self.assertRaises(Denied, lambda: answer_of(one.authenticate(asked(b"old", b"%d" % number))))
        self.assertEqual(len(one._memory._rows), 5)

    def test_the_same_credentials_wait_for_one_hash(self):
        site = CountingSite(holds=True)
        one = basic(site)
        waiting = [one.authenticate(asked()) for _ in range(10)]
        self.assertEqual(site.hashes, 1)
        site.held[0]()
        self.assertEqual({answer_of(each).name for each in waiting}, {"ali"})

    def test_a_client_that_leaves_does_not_disturb_the_others(self):
        site = CountingSite(holds=True)
        one = basic(site)
        gone, stays = one.authenticate(asked()), one.authenticate(asked())
        gone.addErrback(lambda failure: None)
        gone.cancel()
        site.held[0]()
        self.assertEqual(answer_of(stays).name, "ali")

    def test_hashes_that_wait_are_bounded(self):
        one = basic(CountingSite(holds=True), max_pending=3)
        for number in range(3):
            one.authenticate(asked(password=b"%d" % number))
        self.assertRaises(PluginError, one.authenticate, asked(password=b"4"))

    def test_no_password_is_kept_in_memory(self):
        one = basic()
        answer_of(one.authenticate(asked()))
        self.assertNotIn(b"sesame", repr(vars(one)).encode())
        self.assertNotIn(b"sesame", repr(one._memory._rows).encode())


class Files(unittest.TestCase):
    def load(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".htpasswd") as file:
            file.write(text)
            file.flush()
            return basic(users=(), file=file.name)

    def test_users_are_read_from_htpasswd_lines(self):
        one = self.load(f"# users\n\nali:{HASH}\nold:{SHA}\n")
        self.assertEqual(answer_of(one.authenticate(asked())).name, "ali")

    def test_a_bad_line_is_named_and_its_hash_is_not_shown(self):
        with self.assertRaisesRegex(ConfigurationError, r":2: unknown password hash: expected scrypt") as caught:
            self.load(f"ali:{HASH}\nbob:$apr1$secret\n")
        self.assertNotIn("apr1", str(caught.exception))

    def test_a_user_given_twice_is_an_error(self):
        self.assertRaises(ConfigurationError, self.load, f"ali:{HASH}\nali:{SHA}\n")

    def test_a_missing_file_is_an_error(self):
        self.assertRaisesRegex(ConfigurationError, "cannot be read", basic, users=(), file="/nonexistent/htpasswd")


class Hashes(unittest.TestCase):
    def test_the_command_prints_a_hash_that_matches(self):
        done = subprocess.run(
            [sys.executable, "-m", "meshd_plugins.authentication"], input="s3cret\n", capture_output=True, text=True,
            check=True, env=os.environ,
        )
        self.assertTrue(parse(done.stdout.strip()).matches(b"s3cret"))
        self.assertFalse(parse(done.stdout.strip()).matches(b"s3cret "))

    def test_costs_that_would_stall_the_machine_are_refused(self):
        tail = HASH.split(":", 4)[4]
        for cost in ("1048576:32:1", "15:8:1", "1:8:1", "16:0:1", "16:8:99", "x:8:1"):
            with self.subTest(cost), self.assertRaises(ValueError):
                parse(f"scrypt:{cost}:{tail}")

    def test_faults_never_show_the_hash(self):
        for text in ("plain secret", "scrypt:16:8:1:secret!:secret!", "{SHA}c2VjcmV0", "$2y$05$secret"):
            with self.subTest(text), self.assertRaises(ValueError) as caught:
                parse(text)
            self.assertNotIn("secret", str(caught.exception))


class Keys(unittest.TestCase):
    def known(self, one, target=b"/", *headers):
        try:
            identity = one.authenticate(FakeExchange(b"GET", target, headers))
        except Denied:
            return "denied"
        return identity and identity.name

    def test_a_hash_may_stand_for_the_key(self):
        one = api_key(keys=(("robot", "sha256:" + hashlib.sha256(b"long random key").hexdigest()),))
        self.assertEqual(self.known(one, b"/", (b"x-api-key", b"long random key")), "robot")

    def test_each_place_is_read(self):
        key = KEY.encode()
        one = api_key(query="key", cookie="key")
        rows = (
            (b"/", (b"x-api-key", key)), (b"/?a&key=" + key,), (b"/?key=" + key.replace(b"-", b"%2d"),),
            (b"/", (b"cookie", b"a=b; key=" + key)),
        )
        for row in rows:
            with self.subTest(row):
                self.assertEqual(self.known(one, *row), "robot")

    def test_a_bearer_token_is_read_from_authorization(self):
        one = api_key(header="authorization")
        self.assertEqual(self.known(one, b"/", (b"authorization", b"bearer " + KEY.encode())), "robot")
        self.assertIsNone(self.known(one, b"/", (b"authorization", b"Basic abc")))

    def test_several_keys_in_one_place_are_denied(self):
        one = api_key(query="key", cookie="key")
        key = KEY.encode()
        for row in (
            (b"/", (b"x-api-key", key), (b"x-api-key", key)), (b"/?key=%b&key=%b" % (key, key),),
            (b"/", (b"cookie", b"key=%b; key=%b" % (key, key))),
        ):
            with self.subTest(row):
                self.assertEqual(self.known(one, *row), "denied")

    def test_a_monstrous_key_is_denied_unhashed(self):
        self.assertEqual(self.known(api_key(), b"/", (b"x-api-key", b"k" * 5000)), "denied")


class Configuration(unittest.TestCase):
    def test_basic_reads_users_and_names_faults(self):
        self.assertEqual(read(Basic, f"users: {{ali: '{HASH}'}}")[0].users, (("ali", HASH),))
        for text in ("{}", "users: {ali: plain}", f"users: {{'a:b': '{HASH}'}}"):
            with self.subTest(text):
                self.assertEqual(len(read(Basic, text)[1]), 1)

    def test_api_key_names_faults(self):
        for text in (
            f"keys: {{a: {KEY}}}", "keys: {}\nheader: x", "keys: {a: short}\nheader: x",
            f"keys: {{a: {KEY}, b: {KEY}}}\nheader: x", "keys: {a: 'sha256:0123456789'}\nheader: x",
        ):
            with self.subTest(text):
                self.assertEqual(len(read(ApiKey, text)[1]), 1)

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
