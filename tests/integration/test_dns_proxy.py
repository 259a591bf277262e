"""The DNS proxy of a real daemon: names of the mesh, and a scripted resolver for all others."""

import contextlib
import socket
import struct
import threading

import pytest
from twisted.names import dns

from tests.integration.harness.daemon import Daemon, document
from tests.integration.harness.dns import SERVFAIL, SILENT, TRUNCATED, ScriptedDns
from tests.integration.process import free_port, wait_for

NAMES = [{"name": "orders.test", "addresses": ["240.240.0.1"]}]


def configuration(port, *resolvers, names=NAMES, **options):
    """Return a configuration with the proxy on."""
    made = document([{"match": {"prefix": "/"}, "direct_response": {"status": 200}}], [])
    made["node"]["dns_capture"] = True
    made["dns"] = {"addresses": [f"127.0.0.1:{port}"], "resolvers": list(resolvers), "timeout": "300ms", **options}
    made["dns_hosts"] = names
    return made


def question(name, number=7):
    """Return a query."""
    message = dns.Message(number, recDes=1)
    message.addQuery(name, dns.A)
    return message.toStr()


def read(wire):
    """Return (code, addresses, truncated) of an answer."""
    message = dns.Message()
    message.fromStr(wire)
    return message.rCode, [one.payload.dottedQuad() for one in message.answers], bool(message.trunc)


def udp(port, name, timeout_s=10):
    """Ask over UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        sock.connect(("127.0.0.1", port))
        sock.send(question(name))
        return read(sock.recv(4096))


def tcp(port, *names):
    """Ask over one TCP connection, all at once; return the answers in order."""
    with socket.create_connection(("127.0.0.1", port), 10) as sock, sock.makefile("rb") as reader:
        for name in names:
            wire = question(name)
            sock.sendall(struct.pack("!H", len(wire)) + wire)
        return [read(reader.read(struct.unpack("!H", reader.read(2))[0])) for _ in names]


@pytest.fixture
def resolver():
    """A resolver that knows one name."""
    with ScriptedDns() as made:
        made.answers["example.com", "A"] = ["192.0.2.1"]
        yield made


def test_names_of_the_mesh_are_answered_and_others_are_asked_for(resolver):
    port = free_port()
    with Daemon(configuration(port, resolver.address)) as daemon:
        assert udp(port, "orders.test") == (dns.OK, ["240.240.0.1"], False)
        assert udp(port, "example.com") == (dns.OK, ["192.0.2.1"], False)
        assert udp(port, "nobody.example") == (dns.ENAME, [], False)
        assert tcp(port, "example.com", "orders.test") == [
            (dns.OK, ["192.0.2.1"], False), (dns.OK, ["240.240.0.1"], False)]
        assert [one[2] for one in resolver.asked if one[0] == "example.com"] == ["udp", "tcp"]
        assert not any(one[0] == "orders.test" for one in resolver.asked)
        assert daemon.metric("meshd_dns_requests_total", result="answered") == 2
        assert daemon.metric("meshd_dns_requests_total", result="forwarded") == 3


def test_what_a_resolver_says_passes_as_it_is(resolver):
    port = free_port()
    resolver.answers["big.test", "A"] = TRUNCATED, ["192.0.2.2"]
    resolver.answers["bad.test", "A"] = SERVFAIL
    with Daemon(configuration(port, resolver.address)):
        assert udp(port, "big.test") == (dns.OK, [], True)
        assert tcp(port, "big.test") == [(dns.OK, ["192.0.2.2"], False)]
        assert udp(port, "bad.test")[0] == dns.ESERVER


def test_a_silent_resolver_is_passed_over(resolver):
    port = free_port()
    resolver.answers["example.com", "A"] = SILENT
    with ScriptedDns() as other:
        other.answers["example.com", "A"] = ["192.0.2.9"]
        with Daemon(configuration(port, resolver.address, other.address)):
            assert udp(port, "example.com") == (dns.OK, ["192.0.2.9"], False)
            assert udp(port, "example.com") == (dns.OK, ["192.0.2.9"], False)


def test_a_resolver_that_closes_without_an_answer_is_passed_over_at_once(resolver):
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as closing:
        address = "127.0.0.1:%d" % closing.getsockname()[1]
        with Daemon(configuration(port, address, address, timeout="20s")):
            with socket.create_connection(("127.0.0.1", port), 10) as sock, sock.makefile("rb") as reader:
                sock.sendall(framed("example.com", 1))
                for _ in range(2):
                    closing.accept()[0].close()
                assert read(reader.read(struct.unpack("!H", reader.read(2))[0]))[0] == dns.ESERVER


def test_servfail_where_no_resolver_answers_and_beyond_the_bound(resolver):
    port = free_port()
    resolver.trouble = SILENT
    with Daemon(configuration(port, resolver.address, f"127.0.0.1:{free_port()}", max_queries=1)) as daemon:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(10)
            sock.connect(("127.0.0.1", port))
            sock.send(question("first.test", 1))
            sock.send(question("second.test", 2))
            found = [sock.recv(4096) for _ in range(2)]
        assert sorted((one[1], read(one)[0]) for one in found) == [(1, dns.ESERVER), (2, dns.ESERVER)]
        assert daemon.metric("meshd_dns_requests_total", result="overflow") == 1
        assert daemon.metric("meshd_dns_requests_total", result="failed") == 1
        assert udp(port, "orders.test")[1] == ["240.240.0.1"]


def test_connections_over_tcp_have_a_bound(resolver):
    port = free_port()
    with Daemon(configuration(port, resolver.address, max_connections=1)):
        with socket.create_connection(("127.0.0.1", port), 10) as first:
            first.sendall(b"\0")
            with socket.create_connection(("127.0.0.1", port), 10) as second:
                with contextlib.suppress(ConnectionResetError):
                    assert second.recv(1) == b""
        wait_for(lambda: is_answered(port, "orders.test"), "a place")


def framed(name, count):
    """Return as many queries as TCP has them."""
    return b"".join(struct.pack("!H", len(wire)) + wire for wire in (question(name, one) for one in range(count)))


def test_many_queries_in_one_segment_are_answered_in_order(resolver):
    port = free_port()
    with Daemon(configuration(port, resolver.address)), socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(framed("orders.test", 1500))
        with sock.makefile("rb") as reader:
            for number in range(1500):
                wire = reader.read(struct.unpack("!H", reader.read(2))[0])
                assert struct.unpack("!H", wire[:2])[0] == number


def test_a_client_that_does_not_read_its_answers_is_not_read_from(resolver):
    port = free_port()
    names = [{"name": "wide.test", "addresses": [f"10.0.{one // 250}.{one % 250}" for one in range(1000)]}]
    with Daemon(configuration(port, resolver.address, names=names)) as daemon:
        with socket.create_connection(("127.0.0.1", port), 10) as sock:
            sock.setblocking(False)
            sent, asked = framed("wide.test", 2000), 0
            with contextlib.suppress(BlockingIOError):
                while True:
                    asked += sock.send(sent)
            wait_for(lambda: is_steady(daemon), "an end of answers", 30)
            assert daemon.metric("meshd_dns_requests_total", result="answered") < 600


def is_steady(daemon):
    """Say whether no more queries are answered for a while."""
    found = daemon.metric("meshd_dns_requests_total", result="answered")
    return found and daemon.metric("meshd_dns_requests_total", result="answered") == found


def is_answered(port, name):
    """Say whether TCP has room."""
    with contextlib.suppress(OSError, struct.error):
        return tcp(port, name)[0][0] == dns.OK
    return False


def is_closed(port):
    """Say whether nobody listens any more."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0


def test_a_reload_changes_the_names_and_keeps_the_sockets(resolver):
    port = free_port()
    made = configuration(port, resolver.address)
    with Daemon(made) as daemon:
        assert udp(port, "new.test")[0] == dns.ENAME
        made["dns_hosts"] = [{"name": "new.test", "addresses": ["240.240.0.2"]}]
        daemon.write(made)
        assert daemon.reload()["accepted"]
        assert udp(port, "new.test")[1] == ["240.240.0.2"]
        made["node"]["dns_capture"] = False
        daemon.write(made)
        assert daemon.reload()["accepted"]
        wait_for(lambda: is_closed(port), "the end of the proxy")


def test_an_upgrade_loses_no_query(resolver):
    port, lost, asked, is_over = free_port(), [], [], threading.Event()

    def client():
        while not is_over.wait(0.001):
            try:
                asked.append(udp(port, "orders.test", 5)[0])
            except OSError as error:
                lost.append(error)
    with Daemon(configuration(port, resolver.address)) as daemon:
        clients = [threading.Thread(target=client) for _ in range(3)]
        for one in clients:
            one.start()
        daemon.upgrade()
        count = len(asked)
        wait_for(lambda: len(asked) > count + 50, "queries after it")
        is_over.set()
        for one in clients:
            one.join()
    assert not lost, (len(lost), len(asked))


def test_what_waits_for_a_resolver_is_told_when_the_daemon_ends(resolver):
    port = free_port()
    resolver.trouble = SILENT
    with Daemon(configuration(port, resolver.address, timeout="60s")) as daemon:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(20)
            sock.connect(("127.0.0.1", port))
            sock.send(question("example.com"))
            wait_for(lambda: resolver.asked, "the question")
            daemon.signal("TERM")
            assert read(sock.recv(4096))[0] == dns.ESERVER
        assert daemon.process.wait(20) == 0


def test_an_address_in_use_is_one_clear_error(resolver):
    host, port = resolver.address.split(":")
    with Daemon(document([{"match": {"prefix": "/"}, "direct_response": {"status": 200}}], [])) as daemon:
        daemon.write(configuration(int(port)))
        outcome = daemon.reload()
        assert not outcome["accepted"]
        assert f"dns: {host}:{port}: cannot bind: address already in use" in outcome["text"]
