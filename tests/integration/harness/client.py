"""Clients for the tests: one request, a raw connection, several at once."""

import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor

TIMEOUT_S = 30


def ask(port, path="/", method="GET", body=None, headers=(), **options):
    """Return (status, headers, body) of a request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, body, dict(headers), **options)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def status(port, path="/", **options):
    """Return the status alone."""
    return ask(port, path, **options)[0]


def dial(port, data=b"", receive_bytes=0):
    """Return a raw connection that has sent ``data``; ``receive_bytes`` makes its receive buffer small."""
    sock = socket.socket()
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.settimeout(TIMEOUT_S)
    sock.connect(("127.0.0.1", port))
    if data:
        sock.sendall(data)
    return sock


def get(path, **headers):
    """Return the bytes of a GET."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\nhost: a\r\n{lines}\r\n".encode()


def read_to_end(sock):
    """Return (bytes, was it reset) until the connection ends."""
    parts = []
    try:
        while piece := sock.recv(262144):
            parts.append(piece)
    except ConnectionResetError:
        return b"".join(parts), True
    return b"".join(parts), False


def read_until(sock, text):
    """Return what comes up to ``text`` and perhaps more."""
    data = b""
    while text not in data:
        piece = sock.recv(262144)
        assert piece, f"closed after {data!r}"
        data += piece
    return data


def read_head(sock):
    """Return what comes up to an empty line, and leave what follows."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        assert byte, f"closed after {data!r}"
        data += byte
    return data


def at_once(count, function, *args, workers=8):
    """Return the results of ``count`` calls, ``workers`` at a time."""
    with ThreadPoolExecutor(workers) as pool:
        return [future.result() for future in [pool.submit(function, *args) for _ in range(count)]]


def timed(function, *args, **options):
    """Return (result, seconds)."""
    begin = time.monotonic()
    return function(*args, **options), time.monotonic() - begin
