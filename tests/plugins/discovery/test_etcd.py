"""etcd: which messages follow which, what the values become, and what a broken stream costs."""

import base64
import json
import unittest

from meshd.testing.contract.cluster import DiscoveryContract
from meshd.testing.site import FakeSite
from meshd_plugins.discovery import etcd
from meshd_plugins.discovery.etcd import EtcdOptions
from meshd_plugins.discovery.etcd_wire import range_end
from tests.plugins.discovery.remote_case import RemoteCase


def b64(text):
    """Return what stands for bytes."""
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def unb64(text):
    """Return the bytes."""
    return base64.b64decode(text)


class EtcdCase(RemoteCase):
    module = etcd
    options = EtcdOptions

    def watch(self, **options):
        """Begin with a prefix."""
        return super().watch(**{"prefix": "/web/", **options})

    @property
    def message(self):
        """The last message that was sent."""
        return json.loads(self.call.request.body)

    def say(self, revision=10, more=False, **values):
        """Answer a range with these keys and values (JSON)."""
        kvs = [{"key": b64(f"/web/{key}"), "value": b64(json.dumps(value)), "mod_revision": "3", "lease": "77"}
               for key, value in values.items()]
        body = {"header": {"cluster_id": "1", "revision": str(revision)}, "kvs": kvs, "count": str(len(kvs))}
        self.answer({**body, **({"more": True} if more else {})})

    def tell(self, **result):
        """Send a line of the watch."""
        revision = result.pop("revision", 11)
        line = {"result": {"header": {"revision": str(revision)}, **result}}
        self.call.send(json.dumps(line).encode() + b"\n")
        self.settle()

    def put(self, key, value, revision=11):
        """Tell of a change."""
        text = value if isinstance(value, bytes) else json.dumps(value)
        self.tell(revision=revision, events=[
            {"kv": {"key": b64(f"/web/{key}"), "value": b64(text), "mod_revision": str(revision)}}])

    def begin(self, **values):
        """Begin and get as far as a watch."""
        self.watch()
        self.say(**(values or {"a": "10.0.0.1:80", "b": {"address": "10.0.0.2:80", "weight": 3}}))
        self.tell(created=True, revision=10)


class ContractTest(DiscoveryContract, unittest.TestCase):
    def make(self):
        self.site = FakeSite("users")
        return self.site.make("discovery", "etcd", EtcdOptions(cluster="servers", prefix="/web/"))

    def find(self, discovery):
        case = EtcdCase()
        case.site = self.site
        if not case.call.is_over and case.call.request.on_data is None:
            case.say(a="a:1", b="a:1")
        self.site.advance(1)


class ReadTest(EtcdCase):
    def test_reads_the_prefix(self):
        self.watch()
        request = self.call.request
        self.assertEqual((self.call.cluster, request.method, request.target), ("servers", b"POST", b"/v3/kv/range"))
        self.assertTrue(request.is_repeatable)
        self.assertEqual((unb64(self.message["key"]), unb64(self.message["range_end"])), (b"/web/", b"/web0"))

    def test_the_end_of_a_prefix(self):
        for prefix, end in ((b"a", b"b"), (b"a\xff", b"b"), (b"\xff\xff", b"\0"), (b"/a/", b"/a0")):
            self.assertEqual(range_end(prefix), end)

    def test_values_are_endpoints_or_lists_of_them(self):
        self.begin(
            a="10.0.0.1:80", b={"address": "10.0.0.2:80", "weight": 3, "locality": "eu/a", "priority": 1},
            c=["10.0.0.3:80", {"targets": ["10.0.0.4:80"], "labels": {"v": "1"}}], d=[])
        one, two, three, four = self.reports[-1]
        self.assertEqual([one.address, three.address, four.labels], ["10.0.0.1:80", "10.0.0.3:80", (("v", "1"),)])
        self.assertEqual((two.weight, two.locality, two.priority), (3, "eu/a", 1))
        self.assertEqual(one.source, "etcd servers /web/")

    def test_more_keys_than_a_page_are_read_at_one_revision(self):
        self.watch()
        self.say(revision=10, more=True, a="10.0.0.1:80")
        self.assertEqual((unb64(self.message["key"]), self.message["revision"]), (b"/web/a\0", 10))
        self.say(revision=99, b="10.0.0.2:80")
        self.assertEqual(len(self.addresses), 2)
        self.assertEqual(self.message["create_request"]["start_revision"], 11)

    def test_the_key_is_there_for_relabelling(self):
        self.begin(a="10.0.0.1:80")
        rows = []
        self.discovery.find().addCallback(lambda found: rows.extend(found[0]))
        self.assertEqual(rows[0].labels["__meta_etcd_key"], "/web/a")

    def test_a_value_that_cannot_be_read_costs_only_its_key(self):
        self.begin(a="10.0.0.1:80", b={"addr": "x"}, c="nowhere")
        self.assertEqual(self.addresses, ["10.0.0.1:80"])
        self.assertIn("/web/b: [0].addr: unknown key", self.error)
        self.assertIn("/web/c: ", self.error)
        self.put("b", "10.0.0.2:80")
        self.assertNotIn("/web/b", self.error)


class WatchTest(EtcdCase):
    def test_watches_from_the_next_revision_on(self):
        self.begin()
        request = self.message["create_request"]
        self.assertEqual((self.call.request.target, request["start_revision"]), (b"/v3/watch", 11))
        self.assertEqual((unb64(request["key"]), unb64(request["range_end"])), (b"/web/", b"/web0"))
        self.assertEqual(self.call.header(b"grpc-metadata-hasleader"), b"true")

    def test_puts_and_deletes(self):
        self.begin()
        self.put("c", "10.0.0.3:80")
        self.assertEqual(self.addresses, ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"])
        self.tell(revision=12, events=[{"type": "DELETE", "kv": {"key": b64("/web/a"), "mod_revision": "12"}}])
        self.assertEqual(self.addresses, ["10.0.0.2:80", "10.0.0.3:80"])

    def test_a_value_that_becomes_unreadable_leaves_the_last_one(self):
        self.begin()
        self.put("a", b"{")
        self.assertEqual((len(self.addresses), self.discovery.known.state), (2, "stale"))
        self.assertIn("/web/a: ", self.error)

    def test_a_message_may_come_in_pieces(self):
        self.begin()
        line = json.dumps({"result": {"header": {"revision": "11"}, "events": [
            {"kv": {"key": b64("/web/c"), "value": b64('"10.0.0.3:80"'), "mod_revision": "11"}}]}}).encode() + b"\n"
        for at in range(0, len(line), 7):
            self.call.send(line[at:at + 7])
        self.settle()
        self.assertEqual(len(self.addresses), 3)

    def test_is_begun_anew_every_minute_where_it_stands(self):
        self.begin()
        self.put("c", "10.0.0.3:80", revision=15)
        first = self.call
        for _ in range(61):
            self.site.advance(1)
        self.assertTrue(first.is_cancelled)
        self.assertEqual((self.message["create_request"]["start_revision"], len(self.open)), (16, 1))
        self.tell(created=True, revision=20)
        self.assertLess(self.discovery.known.age_s(), 1)

    def test_a_header_later_than_its_events_leaves_no_gap(self):
        self.begin()
        self.tell(revision=50, events=[
            {"kv": {"key": b64("/web/c"), "value": b64('"10.0.0.3:80"'), "mod_revision": "12"}}])
        self.call.answer(200)
        self.settle()
        self.assertEqual(self.message["create_request"]["start_revision"], 13)

    def test_an_end_of_the_stream_is_followed_by_the_next(self):
        self.begin()
        for _ in range(10):
            self.site.advance(1)
        self.call.answer(200)
        self.site.advance(0)
        self.assertEqual((self.call.request.target, self.error), (b"/v3/watch", ""))

    def test_what_was_compacted_is_read_anew_without_a_failure(self):
        self.begin()
        self.tell(canceled=True, compact_revision="40")
        self.assertEqual((self.call.request.target, self.error), (b"/v3/kv/range", ""))

    def check_failure(self, text, line=None):
        """Break the watch by a line, or by itself."""
        if line is not None:
            self.call.send(json.dumps(line).encode() + b"\n")
        self.settle()
        self.assertRegex(self.error, text)
        self.assertEqual(len(self.addresses), 2)
        self.site.advance(1.1)
        self.assertEqual(self.call.request.target, b"/v3/kv/range")

    def test_a_connection_that_breaks(self):
        self.begin()
        self.call.fail("connection closed by upstream")
        self.check_failure("cluster servers: connection closed by upstream")

    def test_a_cancelled_watch(self):
        self.begin()
        self.check_failure("watch: cancelled: permission denied", {
            "result": {"header": {"revision": "11"}, "canceled": True, "cancel_reason": "permission denied"}})

    def test_an_error_in_the_stream(self):
        self.begin()
        self.check_failure("watch: etcdserver: no leader", {"error": {"message": "etcdserver: no leader"}})

    def test_what_is_no_message(self):
        self.begin()
        self.check_failure("answer: Expected `object`", [])

    def test_a_watch_that_never_begins(self):
        self.watch()
        self.say(a="10.0.0.1:80", b="10.0.0.2:80")
        for _ in range(60):
            self.site.advance(1)
        self.check_failure("watch: not begun within 60 s")

    def test_nothing_is_left_after_the_end(self):
        self.begin()
        self.discovery.stop()
        self.assertEqual((self.open, self.site.world.clock.timers), ([], []))


class PasswordTest(EtcdCase):
    def log_in(self):
        """Begin with a user, up to the token."""
        self.watch(user="meshd", password_env="TOKEN")
        self.assertEqual(self.call.request.target, b"/v3/auth/authenticate")
        self.assertEqual(self.message, {"name": "meshd", "password": "s3cret"})
        self.answer({"header": {}, "token": "t.1"})

    def test_a_token_is_asked_for_and_sent(self):
        self.log_in()
        self.assertEqual(self.call.header(b"authorization"), b"t.1")
        self.say(a="10.0.0.1:80")
        self.assertEqual((self.call.request.target, self.call.header(b"authorization")), (b"/v3/watch", b"t.1"))

    def test_another_is_asked_for_when_it_is_refused(self):
        self.log_in()
        self.call.answer(401, b'{"error":"etcdserver: invalid auth token"}')
        self.assertIn("status 401: {\"error\":\"etcdserver: invalid auth token\"}", self.error)
        self.site.advance(1.1)
        self.assertEqual(self.call.request.target, b"/v3/auth/authenticate")

    def test_a_wrong_password_is_told_and_not_shown(self):
        self.watch(user="meshd", password_env="TOKEN")
        self.call.answer(400, b'{"message":"etcdserver: authentication failed, invalid user ID or password"}')
        self.assertIn("authentication failed", self.error)
        self.assertNotIn("s3cret", self.log())

    def test_a_user_needs_a_password(self):
        for wrong in ({"user": "a"}, {"password_env": "X"}, {"user": "a", "password_env": "X", "password_file": "/x"}):
            self.assertTrue(list(EtcdOptions(cluster="c", prefix="p", **wrong).check()))
        self.assertEqual(list(EtcdOptions(cluster="c", prefix="p", user="a", password_env="X").check()), [])
