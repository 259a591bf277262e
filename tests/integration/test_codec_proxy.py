"""Request protocols through the daemon: MQTT with mosquitto and paho, Dubbo with a server of frames."""

import contextlib
import queue
import socket
import struct
import threading

import pytest

from tests.integration.harness.client import dial, read_to_end
from tests.integration.harness.daemon import Daemon
from tests.integration.harness.mosquitto import PROGRAM, mosquitto
from tests.integration.process import free_port, wait_for
from tests.plugins.codec.test_dubbo import frame, request, response
from tests.plugins.codec.test_mqtt import connect

needs_broker = pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed")
LOG = {"path": "%REQ(:PATH)%", "status": "%RESPONSE_CODE%", "upstream": "%UPSTREAM_HOST%", "flags": "%RESPONSE_FLAGS%",
       "id": "%REQ(CLIENT-ID)%"}


def configuration(codec, routes, clusters, port=None, **top):
    """Return a configuration of one listener."""
    proxy = {"codec": codec, "routes": routes}
    return {
        "node": {"id": "test"},
        "listeners": [{"name": "public", "address": f"127.0.0.1:{port or free_port()}",
                       "network_filters": [{"codec_proxy": proxy}]}],
        "clusters": [{"name": name, "endpoints": [{"address": one} for one in addresses], **dict(more)}
                     for name, addresses, more in clusters], **top}


# MQTT


class Device:
    """A client of MQTT by paho. ``got`` are the messages."""

    def __init__(self, port, name, version=4, keepalive=60):
        mqtt = pytest.importorskip("paho.mqtt.client")
        self.got = queue.Queue()
        self.connected = threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=version)
        self.client.on_message = lambda client, data, message: self.got.put((message.topic, message.payload))
        self.client.on_connect = lambda *args: self.connected.set()
        self.client.connect("127.0.0.1", port, keepalive=keepalive)
        self.client.loop_start()
        assert self.connected.wait(10)

    def subscribe(self, topic):
        """Subscribe; return when the broker has said so."""
        done = threading.Event()
        self.client.on_subscribe = lambda *args: done.set()
        self.client.subscribe(topic, qos=1)
        assert done.wait(10)

    def publish(self, topic, data):
        """Publish; return when the broker has it."""
        self.client.publish(topic, data, qos=1).wait_for_publish(10)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.client.disconnect()
        self.client.loop_stop()


@needs_broker
def test_devices_of_both_versions_talk_through_the_proxy(tmp_path):
    with mosquitto(tmp_path) as broker, Daemon(
            configuration("mqtt", [{"cluster": "up"}], [("up", [broker], {})])) as daemon:
        for version in (4, 5):
            with Device(daemon.port, f"a{version}", version) as one, Device(daemon.port, f"b{version}", version) as two:
                two.subscribe("plant/#")
                for number in range(200):
                    one.publish(f"plant/{number}", b"x" * number * 10)
                for number in range(200):
                    assert two.got.get(timeout=10) == (f"plant/{number}", b"x" * number * 10)
        wait_for(lambda: daemon.metric("meshd_codec_requests_total", codec="mqtt", status="ok") == 4, "their end")


@needs_broker
def test_sessions_live_over_reloads_and_keep_alive_passes(tmp_path):
    with mosquitto(tmp_path) as broker:
        settings = configuration("mqtt", [{"cluster": "up"}], [("up", [broker], {})])
        with Daemon(settings) as daemon, Device(daemon.port, "a", keepalive=1) as device:
            device.subscribe("t")
            for number in range(5):
                settings["node"] = {"id": f"test-{number}"}
                daemon.write(settings)
                assert daemon.reload()["accepted"]
                device.publish("t", b"%d" % number)
                assert device.got.get(timeout=10) == ("t", b"%d" % number)
            threading.Event().wait(2.5)  # longer than keep-alive and a half: the broker would have ended it
            device.publish("t", b"still here")
            assert device.got.get(timeout=10) == ("t", b"still here")
            assert daemon.metric("envoy_cluster_upstream_cx_total", cluster_name="up") == 1


@needs_broker
def test_a_client_id_stays_with_its_broker_and_can_be_routed(tmp_path):
    sticky = {"load_balancer": {"ring_hash": {"hash": [{"header": "client-id"}]}}}
    with contextlib.ExitStack() as stack:
        brokers = [stack.enter_context(mosquitto(tmp_path)) for _ in range(3)]
        lab = stack.enter_context(mosquitto(tmp_path))
        routes = [{"fields": [{"name": "client-id", "prefix": "lab-"}], "cluster": "lab"}, {"cluster": "up"}]
        path = str(tmp_path / "access.log")
        log = {"access_log": {"path": path, "json": LOG, "buffer": {"flush_interval": "10ms"}}}
        daemon = stack.enter_context(Daemon(
            configuration("mqtt", routes, [("up", brokers, sticky), ("lab", [lab], {})], telemetry=["prometheus", log]),
            access_log=path))
        for _ in range(3):
            for number in range(8):
                with Device(daemon.port, f"device-{number}"):
                    pass
            with Device(daemon.port, "lab-1"):
                pass
        wait_for(lambda: len([row for row in daemon.accesses() if row.get("id")]) == 27, "the log")
        places = {}
        for row in daemon.accesses():
            if row.get("id"):
                places.setdefault(row["id"], set()).add(row["upstream"])
        assert places.pop("lab-1") == {lab}
        assert all(len(found) == 1 for found in places.values())
        assert len(set.union(*places.values())) > 1


def test_malformed_and_unreachable_are_told_so():
    with Daemon(configuration("mqtt", [{"cluster": "up"}], [("up", ["127.0.0.1:1"], {})])) as daemon:
        for data, answer in (
            (connect(level=5, flags=3), b"\x20\x03\0\x81\0"), (b"GET / HTTP/1.1\r\n\r\n", b""),
            (connect(b"", flags=0), b"\x20\x02\0\x02"), (connect(), b"\x20\x02\0\x03"),
            (connect(level=5), b"\x20\x03\0\x88\0"),
        ):
            with dial(daemon.port, data) as sock:
                assert read_to_end(sock) == (answer, False)
        assert daemon.metric("meshd_codec_client_protocol_errors_total", codec="mqtt") == 3
        assert daemon.metric("meshd_codec_requests_total", codec="mqtt", status="unavailable") == 2


# Dubbo


class Provider:
    """A server of Dubbo's frames that answers each request with its method's name, out of order. ``address``."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        data = b""
        with contextlib.suppress(OSError):
            while piece := sock.recv(65536):
                data += piece
                answers = []
                while len(data) >= 16 and len(data) >= (size := 16 + int.from_bytes(data[12:16])):
                    number, body, data = int.from_bytes(data[4:12]), data[16:size], data[size:]
                    if b"never" not in body:
                        answers.append(response(number, b"\x91" + body))
                sock.sendall(b"".join(reversed(answers)))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.listener.close()


class Consumer:
    """A client of Dubbo's frames."""

    def __init__(self, port):
        self.sock = dial(port)
        self.file = self.sock.makefile("rb")

    def send(self, data):
        """Send frames."""
        self.sock.sendall(data)

    def take(self):
        """Return (id, status, body) of the next frame."""
        head = self.file.read(16)
        _, _, status, number, size = struct.unpack("!HBBQI", head)
        return number, status, self.file.read(size)


def test_many_clients_share_one_connection_to_each_provider():
    with Provider() as one, Provider() as two, Daemon(
            configuration("dubbo", [{"cluster": "up"}], [("up", [one.address, two.address], {})])) as daemon:
        clients = [Consumer(daemon.port) for _ in range(20)]
        for client in clients:
            client.send(b"".join(request(number, method=f"m{number}") for number in range(1, 51)))
        for client in clients:
            found = {number: body for number, status, body in (client.take() for _ in range(50)) if status == 20}
            assert sorted(found) == list(range(1, 51))
            assert all(f"m{number}".encode() in body for number, body in found.items())
        assert (one.connections, two.connections) == (1, 1)
        assert daemon.metric("meshd_codec_requests_total", codec="dubbo", status="ok") == 1000
        assert daemon.metric("meshd_codec_request_duration_seconds_count", codec="dubbo") == 1000
        assert daemon.metric("meshd_codec_requests_active") == 0
        assert daemon.metric("istio_requests_total", request_protocol="dubbo", response_code="200") == 1000
        assert daemon.metric("istio_requests_total", request_protocol="http") == 0


def test_services_and_methods_are_routed_and_the_rest_refused():
    routes = [{"fields": [{"name": "service", "exact": "org.acme.Greeter"}, {"name": "method", "prefix": "hello"}],
               "cluster": "up", "timeout": "300ms"},
              {"fields": [{"name": "service", "exact": "org.acme.Dead"}], "cluster": "dead"}]
    clusters = [("dead", ["127.0.0.1:1"], {})]
    with Provider() as provider, Daemon(
            configuration("dubbo", routes, [("up", [provider.address], {}), *clusters])) as daemon:
        client = Consumer(daemon.port)
        for data, status in (
            (request(1), 20), (request(2, method="bye"), 60), (request(3, service="org.acme.Dead"), 80),
            (request(4, method="hello_never"), 31), (request(5), 20), (frame(0xE2, 6, b"N"), 20),
        ):
            client.send(data)
            assert client.take()[:2] == (int.from_bytes(data[4:12]), status)
        for status, count in (("ok", 2), ("no_route", 1), ("unavailable", 1), ("timeout", 1)):
            assert daemon.metric("meshd_codec_requests_total", status=status) == count
        assert daemon.metric("meshd_codec_heartbeats_total") == 1


def test_connections_of_both_sides_live_over_reloads():
    with Provider() as provider:
        settings = configuration("dubbo", [{"cluster": "up"}], [("up", [provider.address], {})])
        with Daemon(settings) as daemon:
            client = Consumer(daemon.port)
            for number in range(1, 6):
                client.send(request(number))
                assert client.take()[:2] == (number, 20)
                settings["listeners"][0]["network_filters"][0]["codec_proxy"]["idle_timeout"] = f"{number * 100}s"
                daemon.write(settings)
                assert daemon.reload()["accepted"]
            assert provider.connections == 1
