"""Makes full handshakes of TLS one after the other and prints how many: ``handshaker.py PORT SECONDS``.

Each connection is new, takes no session up, sends nothing, and is closed in order, so that what the server still says
(tickets) is read. wrk and h2load take sessions up again; ``openssl s_time`` closes without reading. Run by measure.py.
"""

import socket
import ssl
import sys
import time


def shake(context: ssl.SSLContext, port: int) -> None:
    """Make one connection; a server may end it without TLS's own end."""
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        with context.wrap_socket(plain, server_hostname="bench", suppress_ragged_eofs=True) as secure:
            try:
                secure.unwrap()
            except OSError:
                pass


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
