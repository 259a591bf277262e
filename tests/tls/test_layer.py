"""The TLS layer: a descriptor whose bytes are encrypted; conversations with the standard library's own TLS."""

import gc
import ssl
import weakref

from meshd.tls.server import ServerTls
from meshd.wire.descriptor import Descriptor
from meshd.wire.tls.layer import ANSWERS
from tests.tls.side import TlsCase, TlsOwner
from tests.wire.world import Owner, end_of, take

BIG = bytes(range(256)) * 4096  # 1 MiB


class Handshakes(TlsCase):
    def test_both_sides_agree_and_the_owner_is_told_once(self):
        layer, peer = self.serve()
        self.settle(peer)
        self.assertEqual(layer.owner.said, ["secured"])
        self.assertEqual((layer.security.version, layer.security.server_name), ("TLSv1.3", "a.example"))
        self.assertEqual(layer.security.local.values("dns"), ["a.example"])

    def test_split_at_every_byte_it_is_the_same(self):
        layer, peer = self.serve()
        for _ in range(6):
            for byte in peer.step():
                peer.sock.send(bytes((byte,)))
                self.world.turn()
        peer.engine.write(b"hello")
        for byte in peer.outgoing.read():
            peer.sock.send(bytes((byte,)))
            self.world.turn()
        self.assertEqual(layer.owner.data, b"hello")
        self.assertEqual(layer.owner.said, ["secured", "received"])

    def test_a_client_agrees_too(self):
        layer, peer = self.call()
        self.settle(peer)
        self.assertEqual(layer.owner.said, ["secured"])
        self.assertEqual(layer.security.peer.values("dns"), ["a.example"])

    def test_who_does_not_shake_hands_in_time_is_gone(self):
        layer, peer = self.serve(self.server(handshake_timeout_s=2.0))
        self.world.advance(1.9)
        self.assertTrue(layer.is_open)
        self.world.advance(0.2)
        self.assertFalse(layer.is_open)
        self.assertEqual(layer.owner.said, ["TLS_error:no handshake within 2 s", "lost"])
        self.assertIn(end_of(peer.sock), ("fin", "reset"))
        self.assertEqual(layer.tls.cells.connection_error.value, 1)

    def test_a_byte_now_and_then_buys_no_time(self):
        layer, peer = self.serve(self.server(handshake_timeout_s=2.0))
        for byte in peer.step()[:8]:
            if layer.is_open:
                peer.sock.send(bytes((byte,)))
            self.world.advance(0.3)
        self.assertFalse(layer.is_open)

    def test_plain_text_is_refused_with_the_cause(self):
        layer, peer = self.serve()
        peer.sock.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.world.turn()
        self.assertEqual(layer.owner.said, ["TLS_error:SSL routines:HTTP_REQUEST", "lost"])
        self.assertEqual(layer.tls.cells.connection_error.value, 1)

    def test_an_end_during_the_handshake_is_told(self):
        layer, peer = self.serve()
        peer.sock.send(peer.step()[:20])
        self.world.turn()
        peer.sock.close()
        self.world.turn()
        self.assertEqual(layer.owner.said, ["TLS_error:the peer closed the connection during the handshake", "lost"])

    def test_what_was_read_before_is_used(self):
        ours, theirs = self.sockets()
        tls = self.server()
        _, peer = self.serve(tls)
        first = peer.step()
        owner = TlsOwner()
        plain = Descriptor(ours.detach(), self.world.poller, Owner())
        layer = tls.wrap(plain, owner, first[:100])
        self.assertFalse(plain.is_open)
        self.addCleanup(layer.release)
        peer.sock = theirs
        theirs.send(first[100:])
        self.settle(peer)
        self.assertEqual(owner.said, ["secured"])

    def test_old_versions_are_refused(self):
        context = self.peer_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        layer, peer = self.serve(context=context)
        self.settle(peer)
        self.assertEqual(layer.owner.said[-1], "lost")

    def test_renegotiation_is_refused(self):
        context = self.server().choice.default
        self.assertTrue(context.options & ssl.OP_NO_RENEGOTIATION)


class Data(TlsCase):
    def ready(self, **settings):
        layer, peer = self.serve(**settings)
        self.settle(peer)
        self.assertEqual(layer.owner.said, ["secured"])
        return layer, peer

    def test_bytes_go_both_ways(self):
        layer, peer = self.ready()
        peer.engine.write(b"question")
        self.settle(peer)
        layer.send(b"answer")
        self.settle(peer)
        self.assertEqual((layer.owner.data, peer.got), (b"question", b"answer"))

    def test_more_than_buffers_take_arrives_whole(self):
        layer, peer = self.ready(small=True)
        layer.send(BIG)
        self.assertGreater(layer.pending_bytes, 0)
        self.settle(peer, rounds=2000)
        self.assertEqual(peer.got, BIG)
        self.assertIn("drained", layer.owner.said)
        self.assertEqual(layer.pending_bytes, 0)

    def test_a_large_message_is_received_in_few_pieces(self):
        layer, peer = self.ready()
        peer.engine.write(BIG[:60000])
        self.settle(peer)
        self.assertEqual(layer.owner.data, BIG[:60000])
        self.assertLessEqual(layer.owner.said.count("received"), 2)

    def test_small_writes_of_one_batch_are_one_record(self):
        layer, peer = self.ready(owner=TlsOwner(received=lambda owner: (
            owner.descriptor.send(b"one "), owner.descriptor.send(b"two"))))
        peer.engine.write(b"x")
        peer.sock.send(peer.outgoing.read())
        self.world.turn()
        wire = take(peer.sock)
        self.assertEqual(len(wire), 5 + len(b"one two") + 17)

    def test_the_end_of_a_handshake_does_not_wait(self):
        """A client without TCP_NODELAY sends its first request when its last message is acknowledged."""
        _, peer = self.ready()
        self.assertTrue(peer.engine.session.has_ticket)

    def test_the_end_of_an_older_handshake_does_not_wait(self):
        context = self.peer_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        _, peer = self.ready(context=context)
        self.assertTrue(peer.engine.session.has_ticket)

    def test_an_alert_is_sent_though_the_end_of_the_handshake_is_not_yet(self):
        layer, peer = self.serve()
        peer.sock.send(peer.step())
        self.world.turn()
        peer.sock.send(peer.step() + b"\x17\x03\x03\x00\x20" + bytes(32))
        self.world.turn()
        self.assertEqual(layer.owner.said[0], "secured")
        self.assertFalse(layer.is_open)
        peer.incoming.write(take(peer.sock))
        with self.assertRaisesRegex(ssl.SSLError, "BAD_RECORD_MAC"):
            peer.engine.read(100)

    def test_paused_it_reads_nothing(self):
        layer, peer = self.ready()
        layer.pause()
        peer.engine.write(b"later")
        self.settle(peer)
        self.assertEqual(layer.owner.data, b"")
        layer.resume()
        self.settle(peer)
        self.assertEqual(layer.owner.data, b"later")

    def test_a_broken_record_ends_it(self):
        layer, peer = self.ready()
        peer.engine.write(b"x" * 100)
        wire = bytearray(peer.outgoing.read())
        wire[-1] ^= 1
        peer.sock.send(wire)
        self.world.turn()
        self.assertEqual(layer.owner.said[-1], "lost")
        self.assertFalse(layer.is_open)
        self.assertEqual(layer.owner.data, b"")

    def test_bytes_in_the_handshakes_last_flight_are_received_after_it(self):
        layer, peer = self.serve()
        peer.sock.send(peer.step())
        self.world.turn()
        wire = peer.step()
        peer.engine.write(b"early bird")
        peer.sock.send(wire + peer.outgoing.read())
        self.world.turn()
        self.assertEqual(layer.owner.said, ["secured", "received"])
        self.assertEqual(layer.owner.data, b"early bird")


    def test_who_makes_us_answer_and_reads_nothing_is_given_up(self):
        layer, _ = self.ready(small=True)
        layer.send(BIG)
        for _ in range(ANSWERS):
            layer.outgoing.write(b"key update")
            layer.answer()
        self.assertTrue(layer.is_open)
        layer.outgoing.write(b"key update")
        layer.answer()
        self.assertEqual(layer.owner.said[-2:], ["the peer asks without reading the answers", "lost"])


class Ends(TlsCase):
    def ready(self, **settings):
        layer, peer = self.serve(**settings)
        self.settle(peer)
        return layer, peer

    def test_close_notify_is_an_end_and_the_other_half_goes_on(self):
        layer, peer = self.ready()
        peer.engine.write(b"last")
        try:
            peer.engine.unwrap()
        except ssl.SSLWantReadError:
            pass
        peer.sock.send(peer.outgoing.read())
        self.world.turn()
        self.assertEqual((layer.owner.said, layer.is_cut), (["secured", "received", "eof"], False))
        layer.send(b"still here")
        self.settle(peer)
        self.assertTrue(layer.is_open)

    def test_an_end_without_close_notify_is_told_apart(self):
        layer, peer = self.ready()
        peer.sock.close()
        self.world.turn()
        self.assertEqual((layer.owner.said, layer.is_cut), (["secured", "eof"], True))

    def test_half_close_says_so_and_goes_on_reading(self):
        layer, peer = self.ready()
        layer.send(b"all")
        layer.half_close()
        self.settle(peer)
        self.assertEqual((peer.got, peer.is_ended), (b"all", True))
        peer.engine.write(b"answer")
        self.settle(peer)
        self.assertEqual(layer.owner.data, b"answer")

    def test_close_and_release_say_so(self):
        for word in ("close", "release"):
            layer, peer = self.ready()
            getattr(layer, word)()
            self.settle(peer)
            self.assertTrue(peer.is_ended, word)
            self.assertFalse(layer.is_open)
            self.assertEqual(layer.owner.said, ["secured"])

    def test_abort_does_not_look_whole(self):
        layer, peer = self.ready()
        layer.abort()
        try:
            self.settle(peer)
        except ConnectionResetError:
            pass
        self.assertFalse(peer.is_ended)

    def test_close_waits_for_what_is_kept(self):
        layer, peer = self.ready(small=True)
        layer.send(BIG)
        layer.close()
        self.assertTrue(layer.is_open)
        self.settle(peer, rounds=2000)
        self.assertEqual((peer.got, peer.is_ended), (BIG, True))
        self.assertFalse(layer.is_open)

    def test_a_layer_that_has_ended_is_freed_by_counts_alone(self):
        import gc
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        layer, peer = self.ready()
        tls = layer.tls
        layer.close()
        self.doCleanups_of(layer)
        gone = weakref.ref(layer.engine)
        layer.owner.descriptor = None
        del layer
        self.assertIsNone(gone())
        self.assertIsInstance(tls, ServerTls)

    def doCleanups_of(self, layer):
        """Forget the cleanup that holds the layer."""
        self._cleanups = [row for row in self._cleanups if getattr(row[0], "__self__", None) is not layer]
