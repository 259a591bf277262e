"""Makes full handshakes of TLS one after the other and prints how many: ``handshaker.py PORT SECONDS``.

Each connection is new, takes no session up, and ends with a close_notify that waits for no answer (Envoy's comes late,
and its tickets only with data). wrk and h2load take sessions up again. It offers AES-128-GCM alone (openssl.cnf), so
that every proxy does the same work. Run by measure.py.
"""

import contextlib
import os
import socket
import sys
import time

os.environ["OPENSSL_CONF"] = os.path.join(os.path.dirname(os.path.abspath(__file__)), "openssl.cnf")
import ssl  # noqa: E402 - it reads that


def shake(context: ssl.SSLContext, port: int) -> None:
    """Make one connection; the end is said with the last word of the handshake."""
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    engine = context.wrap_bio(inside, outside, server_hostname="bench")
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            try:
                engine.do_handshake()
                break
            except ssl.SSLWantReadError:
                plain.sendall(outside.read())
                inside.write(plain.recv(16384))
        with contextlib.suppress(ssl.SSLWantReadError):
            engine.unwrap()
        plain.sendall(outside.read())


def main() -> None:
    """Shake hands until the time is over."""
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        shake(context, port)
        count += 1
    print(f"{count} handshakes")


if __name__ == "__main__":
    main()
