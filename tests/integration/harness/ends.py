"""Servers of every kind behind one daemon, and a listener with and without TLS before them.

``nginx`` and Node serve the same four ways each: HTTP/1.1 and HTTP/2, plain and over TLS. /proto says what was spoken,
PUT keeps a body that GET gives back, all else is 404. Node has more: /echo (as it comes), /sum, /big?N, /trailers,
/events (three, 50 ms apart), /abort (resets in the middle), /words; /stall?id (a byte and no more), /flaky?id (503 and
then an echo), /once?id (no answer, and then one) and /count?id, of which /seen?id tells how it ended or how often.
"""

import contextlib
import os
import shutil

import pytest

from tests.integration.harness.app import running
from tests.integration.harness.daemon import Daemon, document
from tests.integration.process import free_port

WAYS = ("h1", "h1-tls", "h2", "h2-tls")
SERVERS = [f"{server}-{way}" for server in ("nginx", "node") for way in WAYS]

NGINX = """
daemon off; worker_processes 1; pid %(folder)s/pid; user root;
events { worker_connections 512; }
http {
  access_log off; client_max_body_size 0; client_body_temp_path %(folder)s/temp; default_type text/plain;
  ssl_certificate %(certificate)s; ssl_certificate_key %(key)s; root %(folder)s/files;
  %(servers)s
}
"""
NGINX_SERVER = """
server { listen 127.0.0.1:%d%s; dav_methods PUT; create_full_put_path on;
  location = /proto { return 200 "$server_protocol"; } }
"""
NODE = """
const fs = require('fs'), crypto = require('crypto'), http = require('http'), https = require('https');
const http2 = require('http2');
const [certificate, secret, streams, ...ports] = process.argv.slice(1);
const settings = +streams ? {maxConcurrentStreams: +streams} : {};
const tls = {cert: fs.readFileSync(certificate), key: fs.readFileSync(secret)};
const kept = {}, seen = {}, block = Buffer.alloc(65536, Buffer.from([...Array(256).keys()]));
const given = (r, left) => { r.setHeader('content-length', left);
  const go = () => { while (left > 0) { const n = Math.min(left, 65536); left -= n;
    if (!r.write(n < 65536 ? block.subarray(0, n) : block)) return r.once('drain', go); } r.end(); }; go(); };
const paths = {
  '/proto': (q, r) => r.end('HTTP/' + q.httpVersion),
  '/echo': (q, r) => { r.flushHeaders ? r.flushHeaders() : 0; q.pipe(r); },
  '/sum': (q, r) => { const h = crypto.createHash('sha256');
    q.on('data', d => h.update(d)).on('end', () => r.end(h.digest('hex'))); },
  '/big': (q, r, n) => given(r, +n),
  '/trailers': (q, r) => { if (q.httpVersion == '1.1') r.setHeader('trailer', 'x-sum'); q.resume();
    q.on('end', () => { r.write('with trailers');
      r.addTrailers({'x-sum': q.trailers['x-sent'] || 'none'}); r.end(); }); },
  '/events': (q, r) => { r.setHeader('content-type', 'text/event-stream'); let n = 0;
    const timer = setInterval(() => { r.write(`data: ${++n}\\n\\n`);
      if (n == 3) { clearInterval(timer); r.end(); } }, 50); },
  '/abort': (q, r) => { r.setHeader('content-length', 100000); r.write(block.subarray(0, 50000), () =>
    r.stream ? r.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR) : r.socket.destroy()); },
  '/stall': (q, r, id) => { seen[id] = 'waiting'; r.on('close', () => { seen[id] = 'ended'; }); r.write('a'); },
  '/flaky': (q, r, id) => { seen[id] = (seen[id] || 0) + 1; const parts = [];
    q.on('data', d => parts.push(d)).on('end', () => { 
      r.statusCode = seen[id] == 1 ? 503 : 200; r.end(Buffer.concat(parts)); }); },
  '/once': (q, r, id) => { seen[id] = (seen[id] || 0) + 1; if (seen[id] > 1) r.end('answer ' + seen[id]); },
  '/count': (q, r, id) => { seen[id] = (seen[id] || 0) + 1; r.end('' + seen[id]); },
  '/words': (q, r) => { r.setHeader('content-type', 'text/plain'); r.end('some words '.repeat(20000)); },
  '/seen': (q, r, id) => r.end('' + (seen[id] || 'unknown')),
};
const answer = (q, r) => {
  const [path, query] = q.url.split('?');
  if (paths[path]) return paths[path](q, r, query);
  if (q.method == 'PUT') { const parts = [];
    q.on('data', d => parts.push(d)).on('end', () => { 
      kept[path] = Buffer.concat(parts); r.statusCode = 201; r.end(); });
  } else if (kept[path]) { r.setHeader('content-length', kept[path].length);
    r.end(q.method == 'HEAD' ? undefined : kept[path]);
  } else { r.statusCode = 404; r.end('none'); }
};
[http.createServer(answer), https.createServer(tls, answer), http2.createServer({settings}, answer),
 http2.createSecureServer({...tls, settings}, answer)].forEach((server, n) => server.listen(+ports[n], '127.0.0.1'));
"""


def needs(name):
    """Return a program's path; skip where there is none."""
    return shutil.which(name) or pytest.skip(f"{name} is not installed")


@contextlib.contextmanager
def nginx(folder, mesh):
    """Yield the addresses of nginx by way."""
    ports = {way: free_port() for way in WAYS}
    words = {"h1": "", "h1-tls": " ssl", "h2": " http2", "h2-tls": " ssl http2"}
    certificate, key = mesh.files("server")
    path = os.path.join(folder, "nginx.conf")
    os.makedirs(os.path.join(folder, "files"))
    with open(path, "w") as file:
        file.write(NGINX % {"folder": folder, "certificate": certificate, "key": key, "servers": "".join(
            NGINX_SERVER % (port, words[way]) for way, port in ports.items())})
    command = [needs("nginx"), "-p", str(folder), "-c", path, "-e", os.path.join(folder, "nginx.log")]
    with running(command, ports["h2-tls"]):
        yield {way: f"127.0.0.1:{port}" for way, port in ports.items()}


@contextlib.contextmanager
def node(mesh, max_streams=0):
    """Yield the addresses of Node by way; ``max_streams`` is what it takes at once on a connection, 0 its default."""
    ports = {way: free_port() for way in WAYS}
    command = [needs("node"), "-e", NODE, *mesh.files("server"), *map(str, (max_streams, *ports.values()))]
    with running(command, ports["h2-tls"]):
        yield {way: f"127.0.0.1:{port}" for way, port in ports.items()}


PATIENT = {"lag": {"stop_accepting_connections": "0s", "stop_accepting_requests": "0s"}}
"""As ``overload``: for machines on which the tests get little of the processor."""


def cluster(name, address):
    """Return a cluster for a server of this name, which ends with its way."""
    tls = {"tls": {"sni": "localhost", "validation": {"secret": "server"}}} if name.endswith("-tls") else {}
    return {"name": name, "endpoints": [{"address": address}], "connect_timeout": "30s",
            "protocol": "http2" if "-h2" in name else "http1", **tls}


def configuration(mesh, addresses, **more):
    """Return a configuration: /NAME/... goes to the server of that name; listeners are ``public`` and ``secure``."""
    routes = [{"match": {"prefix": f"/{name}/"}, "prefix_rewrite": "/", "cluster": name, "timeout": "60s"}
              for name in addresses]
    clusters = [cluster(*item) for item in addresses.items()]
    found = document(routes, clusters, secrets=mesh.settings(), overload=PATIENT, **more)
    plain = found["listeners"][0]
    place = f"127.0.0.1:{free_port()}"
    found["listeners"].append({**plain, "name": "secure", "address": place, "tls": mesh.serving()})
    return found


@contextlib.contextmanager
def everything(folder, mesh):
    """Yield the daemon before nginx and Node; nothing may be left over at the end."""
    with nginx(folder, mesh) as first, node(mesh) as second:
        addresses = {f"nginx-{way}": address for way, address in first.items()}
        addresses |= {f"node-{way}": address for way, address in second.items()}
        with Daemon(configuration(mesh, addresses)) as daemon:
            yield daemon
            daemon.settled()


def url(daemon, scheme, server, path):
    """Return the URL of a path of a server through the daemon."""
    port = daemon.ports["secure" if scheme == "https" else "public"]
    return f"{scheme}://localhost:{port}/{server}{path}"


