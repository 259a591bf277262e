"""A server that tells each connection where it had meant to go. Run as a script: WORD UID TRANSPARENT PORT...

A port has ``6:`` before it for IPv6. It binds as root and then is the user.
"""

import os
import select
import socket
import struct
import sys

SO_ORIGINAL_DST, IP_TRANSPARENT, IPV6_ORIGINAL_DST = 80, 19, 80


def original(sock):
    """Return the address and port that a captured connection had meant."""
    if sock.family == socket.AF_INET6:
        raw = sock.getsockopt(socket.IPPROTO_IPV6, IPV6_ORIGINAL_DST, 28)
        return socket.inet_ntop(socket.AF_INET6, raw[8:24]), struct.unpack("!H", raw[2:4])[0]
    raw = sock.getsockopt(socket.IPPROTO_IP, SO_ORIGINAL_DST, 16)
    return socket.inet_ntoa(raw[4:8]), struct.unpack("!H", raw[2:4])[0]


def listen(text, is_transparent):
    """Return a listening socket; the port has a 6 before it for IPv6."""
    family = socket.AF_INET6 if text.startswith("6:") else socket.AF_INET
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if is_transparent:
        sock.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
    sock.bind(("", int(text.removeprefix("6:"))))
    sock.listen()
    return sock


def serve(word, uid, is_transparent, ports):
    """Answer ``WORD PORT ADDRESS PORT CLIENT``: who takes it and where, where it was going, from whom."""
    servers = [listen(one, is_transparent) for one in ports]
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    print("ready", flush=True)
    while True:
        for server in select.select(servers, [], [])[0]:
            sock, client = server.accept()
            try:
                address, port = original(sock)
            except OSError:
                address, port = sock.getsockname()[:2]
            with sock:
                sock.sendall(f"{word} {server.getsockname()[1]} {address} {port} {client[0]}\n".encode())


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "1", sys.argv[4:])
