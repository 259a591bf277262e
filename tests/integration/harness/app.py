"""The same small application for several servers: a WSGI callable for gunicorn, JavaScript for Node; and how they run.

/echo gives the body back, /sum its SHA-256, /chunks three chunks, /empty 204, /same 304, /big?N N bytes of ``pattern``.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys

from tests.integration.process import free_port, wait_for

BLOCK = bytes(range(256)) * 256

NODE = """
const http = require('http'), crypto = require('crypto');
const block = Buffer.alloc(65536, Buffer.from([...Array(256).keys()]));
http.createServer((q, r) => {
  const [path, query] = q.url.split('?');
  const length = q.headers['content-length'];
  if (path == '/echo') { if (length) r.setHeader('content-length', length); q.pipe(r); }
  else if (path == '/sum') { const h = crypto.createHash('sha256');
    q.on('data', d => h.update(d)).on('end', () => r.end(h.digest('hex'))); }
  else if (path == '/chunks') { r.write('one,'); r.write('two,'); r.end('three'); }
  else if (path == '/empty') { r.statusCode = 204; r.end(); }
  else if (path == '/same') { r.statusCode = 304; r.setHeader('etag', '"e"'); r.end(); }
  else if (path == '/big') { let left = +query; r.setHeader('content-length', left);
    const go = () => { while (left > 0) { const n = Math.min(left, 65536); left -= n;
      if (!r.write(n < 65536 ? block.subarray(0, n) : block)) return r.once('drain', go); } r.end(); }; go(); }
  else { r.setHeader('content-length', 2); r.end('ok'); }
}).listen(+process.argv[1], '127.0.0.1');
"""


def pattern(size):
    """Return ``size`` bytes that are not all the same."""
    return (BLOCK * (size // len(BLOCK) + 1))[:size]


def digest(data):
    """Return the SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def application(environ, start_response):
    """Answer by WSGI."""
    path, size = environ["PATH_INFO"], environ["QUERY_STRING"]
    body = environ["wsgi.input"].read() if path in ("/echo", "/sum") else b""
    if path == "/chunks":
        start_response("200 OK", [("content-type", "text/plain")])
        return iter([b"one,", b"two,", b"three"])
    answers = {"/echo": body, "/sum": digest(body).encode(), "/empty": b"", "/same": b""}
    data = pattern(int(size)) if path == "/big" else answers.get(path, b"ok")
    status = {"/empty": "204 No Content", "/same": "304 Not Modified"}.get(path, "200 OK")
    fields = [("etag", '"e"')] if path == "/same" else [] if path == "/empty" else [("content-length", str(len(data)))]
    start_response(status, fields)
    return [data]


@contextlib.contextmanager
def running(arguments, port, **options):
    """Yield the address of a server once it accepts; ends the process (and its group) afterwards."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                               **options)
    try:
        wait_for(lambda: process.poll() is not None or accepts(port), f"{arguments[0]}", 30)
        assert process.poll() is None, f"{arguments[0]} ended with {process.returncode}"
        yield f"127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def accepts(port):
    """Say whether somebody listens."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def gunicorn(folder):
    """Yield the address of gunicorn with the WSGI application."""
    port = free_port()
    root = os.path.dirname(os.path.abspath(__file__)).removesuffix("tests/integration/harness")
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread",
               "--threads", "8", "--keep-alive", "5", "tests.integration.harness.app:application"]
    with running(command, port, cwd=root) as address:
        yield address


@contextlib.contextmanager
def node(folder):
    """Yield the address of Node's http server."""
    port = free_port()
    with running([shutil.which("node"), "-e", NODE, str(port)], port) as address:
        yield address


@contextlib.contextmanager
def standard(folder):
    """Yield the address of ``python -m http.server`` over a folder."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "-d", str(folder)]
    with running(command, port) as address:
        yield address


@contextlib.contextmanager
def nginx(folder):
    """Yield the address of nginx over a folder: PUT makes files, ``.txt`` is compressed and so chunked."""
    port = free_port()
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w") as file:
        file.write(NGINX % {"folder": folder, "port": port})
    command = [shutil.which("nginx"), "-p", str(folder), "-c", path, "-e", os.path.join(folder, "nginx.log")]
    with running(command, port) as address:
        yield address


NGINX = """
daemon off; worker_processes 1; pid %(folder)s/pid; user root;
events { worker_connections 256; }
http {
  access_log off; client_max_body_size 0; client_body_temp_path %(folder)s/temp; default_type text/plain;
  gzip on; gzip_min_length 1; gzip_types text/plain;
  server {
    listen 127.0.0.1:%(port)s; root %(folder)s;
    dav_methods PUT DELETE; create_full_put_path on;
    location = /empty { return 204; }
    location = /text { return 200 "ok"; }
  }
}
"""


