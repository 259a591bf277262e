"""A service of a chain, as a program: asks the next one and passes its status on, or fails by itself.

    python chain.py NEXT_PORT DELAY_MS     (NEXT_PORT 0: the last one, which answers 503 to everything)

Prints its port. ``GET /count`` tells how many requests there were before. Run by ``Service``.
"""

import asyncio
import subprocess
import sys


class Service:
    """Runs one; ``port`` is where it listens. Leaving the ``with`` ends it."""

    def __init__(self, next_port=0, delay_ms=0):
        command = [sys.executable, __file__, str(next_port), str(delay_ms)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


async def request(port, path="/"):
    """Return (status, body) of a GET on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: chain\r\nconnection: close\r\n\r\n".encode())
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


async def load(port, count, at_once):
    """Ask ``count`` times, so many at once; return the statuses."""
    found, left = [], count

    async def ask():
        nonlocal left
        while left > 0:
            left -= 1
            found.append((await request(port))[0])

    await asyncio.gather(*(ask() for _ in range(at_once)))
    return found


async def serve(next_port, delay_ms):
    """Serve until killed."""
    count = 0

    async def on_client(reader, writer):
        nonlocal count
        while head := await read_head(reader):
            if head.startswith(b"GET /count "):
                status, body = 200, str(count).encode()
            else:
                count += 1
                await asyncio.sleep(delay_ms / 1000.0)
                status, body = (await request(next_port))[0] if next_port else 503, b""
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))
            if b"connection: close" in head.lower():
                break
        writer.close()

    server = await asyncio.start_server(on_client, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def read_head(reader):
    """Return a request's head, b"" at the end of the connection."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
