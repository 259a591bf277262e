"""Certificates that are replaced under load, and handshakes that are slow or many: nothing is lost, all is bounded."""

import contextlib
import socket
import threading

from tests.integration.harness.client import at_once
from tests.integration.harness.daemon import Daemon, document, one_cluster
from tests.integration.harness.tls import CLIENT_ID, SERVER_ID, Mesh, call
from tests.integration.process import wait_for

HELLO = [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": "hello"}}]
ROUNDS = 6
GET = b"GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n"


def serving(mesh, **tls):
    """Return a configuration that answers over TLS."""
    return document(HELLO, [], listener={"tls": mesh.serving(**tls)}, secrets=mesh.settings())


def shown(port, mesh):
    """Return the serial number of the certificate that a new connection sees."""
    with socket.create_connection(("127.0.0.1", port), 20) as plain:
        with mesh.context().wrap_socket(plain, server_hostname="shop.test") as sock:
            return int(sock.getpeercert()["serialNumber"], 16)


class Load:
    """Asks over kept and new connections in threads until it is told to stop."""

    def __init__(self, port, mesh):
        self.is_over = threading.Event()
        self.count, self.failures = 0, []
        context = mesh.context()
        self.threads = [threading.Thread(target=work, args=(port, context)) for work in (self.kept, self.new, self.new)]

    def new(self, port, context):
        """Ask on new connections."""
        while not self.is_over.is_set():
            self.judge(lambda: call(port, context)[0])

    def kept(self, port, context):
        """Ask on one connection."""
        with socket.create_connection(("127.0.0.1", port), 20) as plain:
            with context.wrap_socket(plain, server_hostname="shop.test") as sock:
                while not self.is_over.is_set():
                    sock.sendall(GET)
                    self.judge(lambda: sock.recv(65536))

    def judge(self, ask):
        """Count an answer, or what came in its place."""
        try:
            data = ask()
        except OSError as error:
            self.failures.append(repr(error))
        else:
            self.count += 1
            if not (data.startswith(b"HTTP/1.1 200") and data.endswith(b"hello")):
                self.failures.append(data)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.is_over.set()
        for thread in self.threads:
            thread.join()


def test_certificates_are_replaced_under_load_on_both_sides():
    with Mesh() as mesh, Daemon(serving(mesh, client_certificate="required")) as inner:
        outside = one_cluster(f"127.0.0.1:{inner.port}", cluster={"tls": mesh.calling()}, secrets=mesh.settings(),
                              listener={"tls": mesh.serving()})
        with Daemon(outside) as outer, Load(outer.port, mesh) as load:
            for _ in range(ROUNDS):
                leaf = mesh.issue("server", "shop.test", "localhost", f"uri:{SERVER_ID}")
                mesh.issue("client", f"uri:{CLIENT_ID}")
                wait_for(lambda: shown(outer.port, mesh) == leaf.certificate.serial_number, "the new certificate")
        assert load.failures == []
        assert load.count > 20 * ROUNDS


def test_a_bad_pair_leaves_the_old_one_and_is_told():
    with Mesh() as mesh, Daemon(serving(mesh)) as daemon:
        before = shown(daemon.port, mesh)
        folder = mesh.folder / "server"
        good = (folder / "tls.crt").read_bytes()
        (folder / "tls.crt").write_bytes(mesh.root.leaf("shop.test").pem)
        daemon.logged("the old one stays in force")
        assert shown(daemon.port, mesh) == before
        assert daemon.log().count("the old one stays in force") == 1
        assert daemon.metric("meshd_secret_errors_total") == len(daemon.pids)
        assert "not the key of the certificate" in daemon.ctl("certs")[1]
        (folder / "tls.crt").write_bytes(good)
        daemon.logged("files have changed and are in force")
        assert not daemon.reload()["faults"]


def test_slow_handshakes_end_and_keep_nobody_out():
    with Mesh() as mesh, Daemon(serving(mesh, handshake_timeout="1s")) as daemon:
        with contextlib.ExitStack() as stack:
            for _ in range(100):
                sock = stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), 20))
                sock.sendall(b"\x16\x03\x01")
            assert all(answer.endswith(b"hello") for answer, _ in at_once(8, call, daemon.port, mesh.context()))
            daemon.settled()
        assert daemon.metric("envoy_listener_ssl_connection_error") == 100


def test_a_flood_of_handshakes_is_served_in_turn():
    with Mesh() as mesh, Daemon(serving(mesh)) as daemon:
        answers = at_once(200, call, daemon.port, mesh.context(), workers=16)
        assert all(answer.endswith(b"hello") for answer, _ in answers)
        assert daemon.metric("envoy_listener_ssl_handshake") == 200
        daemon.settled()
