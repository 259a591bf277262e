"""What clients of PostgreSQL, Redis and MQTT, and of a server that greets, do over a port: unmodified, without TLS."""

import contextlib
import io
import os
import queue
import signal
import socket
import subprocess
import threading

import pytest

from tests.integration.harness.postgres import USER
from tests.integration.process import wait_for

ROWS = 60_000
GREETING = b"220 mail.test ready\r\n"


# PostgreSQL

def database(port, sslmode="disable"):
    """Return a connection of psycopg2 that commits each statement."""
    psycopg2 = pytest.importorskip("psycopg2")
    found = psycopg2.connect(host="127.0.0.1", port=port, user=USER, dbname="postgres", sslmode=sslmode,
                             gssencmode="disable", connect_timeout=20)
    found.autocommit = True
    return found


def value(connection, statement, *arguments):
    """Return the only value of a query."""
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        return cursor.fetchone()[0]


def use_postgres(port):
    """Query, copy some 4 MB both ways, notify, cancel, negotiate TLS within, and ask by psql."""
    with contextlib.closing(database(port)) as one, contextlib.closing(database(port)) as two:
        assert value(one, "SELECT sum(n) FROM generate_series(1, %s) n", 1000) == 500500
        _copy(one)
        _notify(one, two)
        _cancel(port, two)
    with contextlib.closing(database(port, "require")) as inside:
        assert value(inside, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is True
    told = subprocess.run([*psql(port), "SELECT 6 * 7"], capture_output=True, text=True, timeout=30)
    assert (told.stdout, told.stderr) == ("42\n", "")


def psql(port):
    """Return psql's command line, but for the statement."""
    return ["psql", "-X", "-h", "127.0.0.1", "-p", str(port), "-U", USER, "-d", "postgres", "-Atc"]


def _copy(connection):
    rows = "".join(f"{number}\t{number * 7919 % 1_000_003:064d}\n" for number in range(ROWS))
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE t (n int, word text)")
        cursor.copy_expert("COPY t FROM STDIN", io.StringIO(rows))
        out = io.StringIO()
        cursor.copy_expert("COPY (SELECT * FROM t ORDER BY n) TO STDOUT", out)
        assert out.getvalue() == rows


def _notify(one, two):
    channel = f"c{os.urandom(4).hex()}"
    with two.cursor() as cursor:
        cursor.execute(f"LISTEN {channel}")
    value(one, "SELECT pg_notify(%s, 'hello')::text", channel)
    for _ in range(200):
        two.poll()
        if two.notifies:
            break
        threading.Event().wait(0.05)
    assert [(note.channel, note.payload) for note in two.notifies] == [(channel, "hello")]


def _cancel(port, other):
    """Interrupt psql while its query runs: the request to cancel is a connection of its own."""
    nap = f"SELECT pg_sleep(60), '{os.urandom(4).hex()}'"
    process = subprocess.Popen([*psql(port), nap], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    is_napping = "SELECT count(*) FROM pg_stat_activity WHERE query = %s AND state = 'active'"
    wait_for(lambda: value(other, is_napping, nap), "the query")
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[1].endswith("canceling statement due to user request\n")


# Redis

def use_redis(port):
    """A pipeline, 4 MB, publish and subscribe, and a pop that blocks until there is something."""
    redis = pytest.importorskip("redis")
    key = os.urandom(4).hex()
    with redis.Redis(port=port) as client, redis.Redis(port=port) as other:
        pipe = client.pipeline(transaction=True)
        for number in range(500):
            pipe.set(f"{key}:{number}", b"x" * number)
        assert all(pipe.execute())
        client.set(key, b"y" * (4 << 20))
        assert client.get(key) == b"y" * (4 << 20)
        subscription = other.pubsub()
        subscription.subscribe(key)
        assert subscription.get_message(timeout=10)["type"] == "subscribe"
        assert client.publish(key, "hello") == 1
        assert subscription.get_message(timeout=10)["data"] == b"hello"
        subscription.close()
        later = threading.Timer(0.2, client.rpush, (f"{key}:list", "late"))
        later.start()
        assert other.blpop(f"{key}:list", timeout=10) == (f"{key}:list".encode(), b"late")
        later.join()


# MQTT

class Device:
    """A client of MQTT by paho; ``got`` are its messages as (topic, payload, qos, is it retained)."""

    def __init__(self, port, name, will=None):
        mqtt = pytest.importorskip("paho.mqtt.client")
        self.got, self._said = queue.Queue(), threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name)
        if will is not None:
            self.client.will_set(*will, qos=1)
        self.client.on_message = lambda client, data, one: self.got.put((one.topic, one.payload, one.qos, one.retain))
        self.client.on_connect = self.client.on_subscribe = lambda *args: self._said.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self._wait()

    def _wait(self):
        assert self._said.wait(20)
        self._said.clear()

    def subscribe(self, topic):
        """Subscribe; return when the broker has said so."""
        self.client.subscribe(topic, qos=2)
        self._wait()

    def publish(self, topic, data, qos=1, retain=False):
        """Publish; return when the broker has it."""
        self.client.publish(topic, data, qos, retain).wait_for_publish(20)

    def die(self):
        """End without a word: the broker publishes the will."""
        self.client.loop_stop()
        self.client.socket().shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.client.disconnect()
        self.client.loop_stop()


def use_mqtt(port):
    """Each quality of service, a retained message, a will."""
    key = os.urandom(4).hex()
    with Device(port, f"a{key}") as one, Device(port, f"b{key}") as two:
        two.subscribe(f"{key}/#")
        for qos in (0, 1, 2):
            one.publish(f"{key}/{qos}", b"%d" % qos * 5000, qos)
            assert two.got.get(timeout=20) == (f"{key}/{qos}", b"%d" % qos * 5000, qos, False)
        one.publish(f"{key}/kept", b"kept", retain=True)
        assert two.got.get(timeout=20)[:2] == (f"{key}/kept", b"kept")
        with Device(port, f"c{key}") as late:
            late.subscribe(f"{key}/kept")
            assert late.got.get(timeout=20) == (f"{key}/kept", b"kept", 1, True)
        Device(port, f"d{key}", will=(f"{key}/will", b"gone")).die()
        assert two.got.get(timeout=20)[:2] == (f"{key}/will", b"gone")


# A server that speaks first, as those of MySQL and SMTP do

def greet(sock):
    """Greet, then say back what comes."""
    sock.sendall(GREETING)
    while data := sock.recv(65536):
        sock.sendall(data)


def use_greeter(port):
    """Wait for the greeting before a word is said."""
    with socket.create_connection(("127.0.0.1", port), 20) as sock, sock.makefile("rb") as lines:
        assert lines.readline() == GREETING
        sock.sendall(b"EHLO me\r\n")
        assert lines.readline() == b"EHLO me\r\n"


USES = {"postgres": use_postgres, "redis": use_redis, "mqtt": use_mqtt, "greeter": use_greeter}
