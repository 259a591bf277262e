"""``meshd.host.store``: which sockets systemd keeps, under names that lead back to their listeners."""

import socket

from hypothesis import given
from hypothesis import strategies as st

from meshd.host.notify import Notify
from meshd.host.store import Store, fd_name, listener_of
from tests.host.test_notify import NotifyCase

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


class TestNames(NotifyCase):
    @given(TEXT, TEXT)
    def test_names_are_what_systemd_takes_and_lead_back(self, listener, address):
        name = fd_name(listener, address)
        if name:
            self.assertEqual(listener_of(name), (listener, address))
            self.assertTrue(name.isascii() and name.isprintable() and ":" not in name and len(name) <= 255)
        else:
            self.assertGreater(len((listener + address).encode()) * 3, 200)

    def test_a_name_that_would_be_too_long_is_none(self):
        self.assertEqual(fd_name("x" * 300, "127.0.0.1:80"), "")

    def test_names_of_units_are_not_ours(self):
        for name in ("meshd.socket", "public", "meshd", "", "unknown", "a,b,c"):
            self.assertIsNone(listener_of(name))


class TestStore(NotifyCase):
    def listening(self):
        sock = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(sock.close)
        return sock

    def keep(self, store, **sockets):
        """Keep sockets by listener; return the names that systemd has now."""
        store.keep({fd_name(name, "127.0.0.1:1"): sock for name, sock in sockets.items()})
        self.systemd.read()
        return {listener_of(name)[0]: one.getsockname() for name, one in self.systemd.stored.items()}

    def test_keeps_what_is_there_and_forgets_what_has_gone(self):
        store, one, two = Store(self.notify), self.listening(), self.listening()
        self.assertEqual(self.keep(store, one=one, two=two), {"one": one.getsockname(), "two": two.getsockname()})
        self.assertEqual(self.keep(store, two=two), {"two": two.getsockname()})
        self.assertEqual(len(self.systemd.seen), 3)

    def test_a_renamed_socket_is_kept_under_its_new_name(self):
        store, sock = Store(self.notify), self.listening()
        self.keep(store, one=sock)
        self.assertEqual(self.keep(store, two=sock), {"two": sock.getsockname()})

    def test_another_socket_of_the_same_name_takes_the_place_of_the_first(self):
        store, one, two = Store(self.notify), self.listening(), self.listening()
        self.keep(store, one=one)
        self.assertEqual(self.keep(store, one=two), {"one": two.getsockname()})

    def test_what_was_handed_back_is_kept_already(self):
        sock, gone = self.listening(), self.listening()
        handed = [(fd_name("one", "127.0.0.1:1"), sock), (fd_name("old", "127.0.0.1:1"), gone), ("meshd.socket", gone)]
        for name, one in handed[:2]:
            self.notify.store(name, one)
        self.assertEqual(self.keep(Store(self.notify, handed), one=sock), {"one": sock.getsockname()})
        self.assertEqual(len(self.systemd.seen), 3)

    def test_without_systemd_nothing_is_kept(self):
        Store(Notify()).keep({"x": self.listening()})
        self.assertEqual(self.systemd.read(), [])
