"""Calls of plugins: what goes out, what comes back, how they fail, and that everything taken is given back."""

import gc
import unittest
import weakref

from twisted.internet.defer import CancelledError

from meshd.api import CallAnswer, CallError, CallRequest, Headers, flag, grpc, grpc_call, grpc_message
from meshd.upstream.call import Call
from tests.exchange.mesh import OK, vars_of
from tests.upstream.pool_case import PoolCase

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Result:
    """What came of a call so far."""

    def __init__(self, cluster, **request):
        self.call = Call(cluster, CallRequest(**request))
        self.value = None
        self.error = None
        self.done = self.call.begin()
        self.done.addCallbacks(self.keep, self.keep_error)

    def keep(self, value):
        """It was answered."""
        self.value = value

    def keep_error(self, why):
        """It failed."""
        self.error = why.value


class CallCase(PoolCase):
    def call(self, cluster, **request):
        """Begin a call and work off what can be."""
        result = Result(cluster, **request)
        self.folder.turn()
        return result

    def served(self, cluster, answer=OK, **request):
        """Begin a call, answer it; return (result, peer, what the peer read)."""
        result = self.call(cluster, **request)
        peer, data = self.upstreams[0].serve(answer)
        return result, peer, data


class GrpcTest(unittest.TestCase):
    def test_a_call(self):
        request = grpc_call(b"/a.B/C", b"abc", authority=b"b", timeout_s=0.25, fields=((b"x-a", b"1"),))
        self.assertEqual((request.method, request.target, request.host, request.timeout_s),
                         (b"POST", b"/a.B/C", b"b", 0.25))
        self.assertEqual(dict(request.headers), {
            b"te": b"trailers", b"content-type": b"application/grpc", b"grpc-timeout": b"250m", b"x-a": b"1"})
        self.assertEqual(request.body, b"\0\0\0\0\3abc")

    def test_te_says_but_trailers(self):
        with self.assertRaises(ValueError):
            CallRequest(headers=((b"te", b"gzip"),))

    def answer(self, body=b"", trailers=(), headers=(), status=200):
        return grpc_message(CallAnswer(status, Headers.of(*headers), body, Headers.of(*trailers)))

    def test_the_message_of_an_answer(self):
        self.assertEqual(self.answer(grpc.frame(b"abc"), [(b"grpc-status", b"0")]), b"abc")

    def test_why_there_is_none(self):
        ok, gone = [(b"grpc-status", b"0")], [(b"grpc-status", b"5"), (b"grpc-message", b"gone")]
        for expected, arguments in (
            ("gRPC status NOT_FOUND: gone", (b"", gone)), ("gRPC status NOT_FOUND: gone", (b"", (), gone)),
            (r"gRPC status UNAVAILABLE \(HTTP status 503\)", (b"", (), (), 503)),
            (r"gRPC status UNKNOWN \(HTTP status 200\)", (b"", ())), ("expected one message, got 0", (b"", ok)),
            ("a message is cut short", (b"\0", ok)), ("status that is none", (b"", [(b"grpc-status", b"x")])),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                self.answer(*arguments)


class AnswerTest(CallCase):
    def test_sends_the_request_and_gives_the_answer(self):
        cluster = self.cluster()
        result, _, data = self.served(
            cluster, method=b"POST", target=b"/v3/kv?x=1", host=b"etcd:1", headers=((b"accept", b"*/*"),), body=b"{}")
        self.assertEqual(data, b"POST /v3/kv?x=1 HTTP/1.1\r\nhost: etcd:1\r\naccept: */*\r\nuser-agent: meshd\r\n"
                               b"content-length: 2\r\n\r\n{}")
        self.assertEqual((result.value.status, result.value.body), (200, b"ok"))
        self.assertEqual(result.value.headers.get(b"content-length"), b"2")
        self.end(cluster)

    def test_every_status_is_an_answer(self):
        cluster = self.cluster()
        result, *_ = self.served(cluster, b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")
        self.assertEqual((result.value.status, result.error), (503, None))
        self.end(cluster)

    def test_what_comes_behind_the_body(self):
        cluster = self.cluster()
        result, *_ = self.served(cluster, CHUNKED + b"0\r\nx-sum: 7\r\n\r\n")
        self.assertEqual(result.value.trailers.get(b"x-sum"), b"7")
        self.end(cluster)

    def test_the_next_call_has_the_same_connection(self):
        cluster = self.cluster()
        _, peer, _ = self.served(cluster)
        result = self.call(cluster)
        self.assertIn(b"GET / HTTP/1.1\r\nhost: localhost\r\n", peer.read())
        peer.send(OK)
        self.assertEqual(result.value.body, b"ok")
        self.assertEqual((cluster.cells.connections.value, cluster.cells.requests.value), (1, 2))
        self.end(cluster)

    def test_a_body_until_the_close_is_whole_at_the_close(self):
        cluster = self.cluster()
        result, peer, _ = self.served(cluster, b"HTTP/1.1 200 OK\r\n\r\nall of it")
        self.assertIsNone(result.value)
        peer.close()
        self.folder.turn()
        self.assertEqual(result.value.body, b"all of it")
        self.end(cluster)

    def test_a_call_within_the_answer_of_another_takes_its_connection(self):
        cluster = self.cluster()
        first = self.call(cluster)
        again = []
        first.done.addCallback(lambda _: again.append(Result(cluster)))
        peer, _ = self.upstreams[0].serve()
        peer.send(OK)
        self.assertEqual(again[0].value.body, b"ok")
        self.assertEqual(cluster.cells.connections.value, 1)
        self.end(cluster)

    def test_is_freed_at_its_end_without_the_collector(self):
        cluster = self.cluster()
        gc.disable()
        self.addCleanup(gc.enable)
        result, *_ = self.served(cluster)
        call = weakref.ref(result.call)
        del result
        self.assertIsNone(call())
        self.end(cluster)


class StreamTest(CallCase):
    def test_gives_each_piece_as_it_comes(self):
        cluster, pieces = self.cluster(), []
        result, peer, _ = self.served(cluster, CHUNKED + b"3\r\none\r\n", on_data=pieces.append)
        self.assertEqual((pieces, result.value), ([b"one"], None))
        peer.send(b"3\r\ntwo\r\n0\r\n\r\n")
        self.assertEqual((pieces, result.value.body), ([b"one", b"two"], b""))
        self.end(cluster)

    def test_another_answer_than_2xx_has_its_body(self):
        cluster, pieces = self.cluster(), []
        result, *_ = self.served(cluster, b"HTTP/1.1 410 Gone\r\ncontent-length: 4\r\n\r\nlate", on_data=pieces.append)
        self.assertEqual((pieces, result.value.status, result.value.body), ([], 410, b"late"))
        self.end(cluster)

    def test_may_last_longer_than_the_wait_for_its_head(self):
        cluster, pieces = self.cluster(), []
        result, peer, _ = self.served(cluster, CHUNKED, on_data=pieces.append, timeout_s=1.0)
        self.world.advance(60)
        peer.send(b"1\r\na\r\n0\r\n\r\n")
        self.assertEqual((pieces, result.value.status), ([b"a"], 200))
        self.end(cluster)

    def test_silence_ends_it_where_that_was_asked_for(self):
        cluster = self.cluster()
        result, peer, _ = self.served(cluster, CHUNKED, on_data=[].append, idle_s=5.0)
        self.world.advance(4)
        peer.send(b"1\r\n\n\r\n")
        self.world.advance(4)
        self.assertIsNone(result.error)
        self.world.advance(2)
        self.assertEqual((result.error.cause, result.error.flag), ("silent for 5 s", flag.UT))
        self.end(cluster)

    def test_what_the_plugin_raises_ends_it(self):
        cluster = self.cluster()
        result, peer, _ = self.served(cluster, CHUNKED + b"1\r\na\r\n", on_data=lambda data: 1 / 0)
        self.assertIsInstance(result.error, ZeroDivisionError)
        self.assertNotEqual(peer.end(), "open")
        self.end(cluster)


class FailureTest(CallCase):
    def assert_fails(self, result, bit, text):
        """Check how it failed."""
        self.assertIsInstance(result.error, CallError)
        self.assertEqual(result.error.flag, bit)
        self.assertRegex(str(result.error), text)

    def test_names_cluster_endpoint_and_cause(self):
        cluster = self.cluster()
        self.upstreams[0].stop()
        result = self.call(cluster)
        self.assert_fails(result, flag.UF, "^cluster up: endpoint unix:/tmp/.*: no such file or directory$")
        self.assertEqual((result.error.cluster, result.error.cause), ("up", "no such file or directory"))
        self.end(cluster)

    def test_without_an_endpoint(self):
        cluster = self.cluster(0)
        self.assert_fails(Result(cluster), flag.UH, "^cluster up: no endpoint can be used$")
        self.assertEqual(vars_of(self.counts), (0, 0, 0, 0))

    def test_where_the_balancer_raises(self):
        cluster = self.cluster()
        cluster.pick = lambda exchange: 1 / 0
        self.assert_fails(Result(cluster), flag.UH, "no endpoint can be used")
        self.assertEqual(len(self.world.bugs), 1)
        self.assertEqual(vars_of(self.counts), (0, 0, 0, 0))

    def test_the_circuit_breaker_is_asked(self):
        cluster = self.cluster(breaker={"max_requests": 1})
        first = self.call(cluster)
        self.assert_fails(Result(cluster), flag.UO, "too many requests in flight")
        self.assertEqual(cluster.cells.request_overflow.value, 1)
        first.done.cancel()
        self.end(cluster)

    def test_no_place_in_the_line(self):
        cluster = self.cluster(breaker={"max_pending": 1})
        first = Result(cluster)
        self.assert_fails(Result(cluster), flag.UO, "wait for a connection")
        first.done.cancel()
        self.folder.turn()
        self.end(cluster)

    def test_no_answer_in_time(self):
        cluster = self.cluster()
        result, peer, _ = self.served(cluster, CHUNKED + b"1\r\na\r\n", timeout_s=2.0)
        self.world.advance(2.1)
        self.assert_fails(result, flag.UT, "no answer within 2 s")
        self.assertNotEqual(peer.end(), "open")
        self.assertEqual(cluster.cells.timeouts.value, 1)
        self.end(cluster)

    def test_no_connection_in_time(self):
        cluster = self.cluster()
        result = Result(cluster, timeout_s=2.0)
        self.world.reactor.advance(2.1)
        self.assert_fails(result, flag.UT, "no answer within 2 s")
        self.folder.turn()
        self.end(cluster)

    def test_an_answer_that_is_too_long_by_its_head(self):
        cluster = self.cluster()
        result, peer, _ = self.served(
            cluster, b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n", limit_bytes=10)
        self.assert_fails(result, 0, "answer too long: expected at most 10 bytes")
        self.assertNotEqual(peer.end(), "open")
        self.end(cluster)

    def test_an_answer_that_becomes_too_long(self):
        cluster = self.cluster()
        result, *_ = self.served(cluster, CHUNKED + b"6\r\n123456\r\n" * 2, limit_bytes=10)
        self.assert_fails(result, 0, "answer too long: expected at most 10 bytes")
        self.end(cluster)

    def test_no_http(self):
        cluster = self.cluster()
        result, *_ = self.served(cluster, b"SSH-2.0-x\r\n")
        self.assert_fails(result, flag.UPE, "protocol error: status line")
        self.end(cluster)

    def test_a_cut_answer(self):
        cluster = self.cluster()
        result, peer, _ = self.served(cluster, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab")
        peer.close()
        self.folder.turn()
        self.assert_fails(result, flag.UC, "connection closed by upstream")
        self.end(cluster)

    def test_a_switch_of_protocols_is_refused(self):
        cluster = self.cluster()
        result, *_ = self.served(cluster, b"HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
        self.assert_fails(result, flag.UPE, "expected no switch of protocols")
        self.end(cluster)


class CancelTest(CallCase):
    def check(self, result, cluster):
        """Cancel and look."""
        result.done.cancel()
        self.folder.turn()
        self.assertIsInstance(result.error, CancelledError)
        self.assertEqual(cluster.endpoints[0].active, 0)
        self.end(cluster)

    def test_while_it_waits_for_a_connection(self):
        cluster = self.cluster()
        self.check(Result(cluster), cluster)

    def test_while_it_waits_for_the_answer(self):
        cluster = self.cluster()
        self.check(self.call(cluster), cluster)
        self.assertNotEqual(self.upstreams[0].accept().end(), "open")

    def test_within_a_piece(self):
        cluster, pieces = self.cluster(), []

        def take(data):
            pieces.append(data)
            result.done.cancel()
        result = self.call(cluster, on_data=take)
        peer, _ = self.upstreams[0].serve(CHUNKED + b"1\r\na\r\n" + b"1\r\nb\r\n0\r\n\r\n")
        self.assertEqual(len(pieces), 1)
        self.assertNotEqual(peer.end(), "open")
        self.end(cluster)


class StaleTest(CallCase):
    """An idle connection is closed by the other side just as it is taken."""

    def stale(self, cluster, **request):
        """Return a call that has such a connection."""
        _, peer, _ = self.served(cluster)
        peer.socket.close()
        return self.call(cluster, **request)

    def test_is_tried_once_more(self):
        cluster = self.cluster()
        result = self.stale(cluster)
        self.upstreams[0].serve()
        self.assertEqual((result.value.body, cluster.cells.retries.value), (b"ok", 1))
        self.assertEqual(cluster.endpoints[0].active, 0)
        self.end(cluster)

    def test_not_where_that_could_do_it_twice(self):
        cluster = self.cluster()
        result = self.stale(cluster, method=b"POST", body=b"x")
        self.assertEqual(result.error.flag, flag.UC)
        self.end(cluster)

    def test_where_the_plugin_says_that_it_may(self):
        cluster = self.cluster()
        result = self.stale(cluster, method=b"POST", body=b"x", is_repeatable=True)
        _, data = self.upstreams[0].serve()
        self.assertTrue(data.endswith(b"content-length: 1\r\n\r\nx"))
        self.assertEqual(result.value.body, b"ok")
        self.end(cluster)

    def test_once_only(self):
        cluster = self.cluster()
        result = self.stale(cluster)
        peer = self.upstreams[0].accept()
        peer.read()
        peer.close()
        self.folder.turn()
        self.assertEqual((result.error.flag, cluster.cells.retries.value), (flag.UC, 1))
        self.end(cluster)


class BeforeTheSwapTest(CallCase):
    def test_a_new_cluster_can_be_called(self):
        cluster = self.cluster(start=False)
        result, *_ = self.served(cluster)
        self.assertEqual(result.value.body, b"ok")
        cluster.start()
        self.assertEqual(cluster.idle, 1)
        self.served_again(cluster)

    def served_again(self, cluster):
        """The connection is known after the swap."""
        result = self.call(cluster)
        self.upstreams[0].peers[0].send(OK)
        self.assertEqual(result.value.body, b"ok")
        self.assertEqual(cluster.cells.connections.value, 1)
        self.end(cluster)


class RequestTest(unittest.TestCase):
    def test_refuses_what_could_not_stand_in_a_head(self):
        for wrong in (
            {"target": b"/a b"}, {"target": b"http://x/"}, {"target": "/"}, {"method": b"get"}, {"host": b"a\r\nb"},
            {"headers": ((b"a", b"b\r\nc: d"),)}, {"headers": ((b"a b", b"c"),)}, {"timeout_s": 0},
            {"headers": ((b"Host", b"b"),)}, {"headers": ((b"transfer-encoding", b"chunked"),)},
        ):
            with self.subTest(wrong), self.assertRaises(ValueError):
                CallRequest(**wrong)
