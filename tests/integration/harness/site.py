"""A web site for a browser, by Node over HTTP/1.1 or HTTP/2: a page that tries everything and shows what it found.

The page is loaded (its last image is answered) once its report has come in, so that a browser that writes the document
at the load event writes the report: JSON in the element ``report``.
"""

import base64
import hashlib
import json
import os
import re
import subprocess

from tests.integration.harness.app import running
from tests.integration.process import free_port
from tests.integration.harness.ends import needs

PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>a mesh</title>
<link rel="stylesheet" href="/style.css"><script src="/script.js" defer></script></head>
<body><h1>Through the mesh</h1>
<p><img id="png" src="/dot.png" width="40" height="40"><img id="svg" src="/sign.svg"></p>
<pre id="report">nothing yet</pre><img src="/loaded.png" width="1" height="1"></body></html>"""
STYLE = "body { font: 16px sans-serif; margin: 2em; background: rgb(240, 248, 255) } pre { white-space: pre-wrap }"
SIGN = """<svg xmlns="http://www.w3.org/2000/svg" width="80" height="40"><rect width="80" height="40" fill="teal"/>
<text x="12" y="26" fill="white" font-family="sans-serif">meshd</text></svg>"""
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
"""One pixel, not transparent."""
SCRIPT = """
const found = {}, bytes = new Uint8Array(1500000).map((_, n) => n % 251);
const text = async answer => (await answer).text();
const tries = {
  style: async () => getComputedStyle(document.body).backgroundColor,
  images: async () => { for (const id of ['png', 'svg']) await document.getElementById(id).decode();
    return ['png', 'svg'].map(id => document.getElementById(id).naturalWidth); },
  posted: async () => text(fetch('/size', {method: 'POST', body: bytes})),
  echoed: async () => { const answer = await fetch('/echo', {method: 'POST', body: bytes});
    const back = new Uint8Array(await answer.arrayBuffer());
    return back.length == bytes.length && back.every((byte, n) => byte == bytes[n]); },
  form: async () => { const form = new FormData(); form.append('file', new Blob([bytes]), 'a.bin');
    return +await text(fetch('/size', {method: 'POST', body: form})) > bytes.length; },
  many: async () => (await Promise.all([...Array(60).keys()].map(n => text(fetch('/say?' + n)))))
    .every((said, n) => said == 'said ' + n),
  piecewise: async () => { let pieces = 0; const reader = (await fetch('/pieces')).body.getReader();
    while (!(await reader.read()).done) pieces++; return pieces > 1; },
  redirected: async () => { const answer = await fetch('/moved'); return [answer.redirected, await answer.text()]; },
  cookie: async () => { await fetch('/cookie'); return text(fetch('/cookie')); },
  unchanged: async () => { await text(fetch('/tagged')); return text(fetch('/tagged', {cache: 'no-cache'})); },
  aborted: async () => { const stop = new AbortController(), asked = fetch('/never', {signal: stop.signal});
    setTimeout(() => stop.abort(), 100); return asked.then(() => 'answered', error => error.name); },
  missing: async () => (await fetch('/missing')).status,
  events: () => new Promise((done, fail) => { const heard = [], source = new EventSource('/events');
    source.onmessage = event => { heard.push(event.data); if (heard.length == 3) { source.close(); done(heard); } };
    source.onerror = fail; }),
  socket: () => new Promise((done, fail) => { const heard = [];
    const socket = new WebSocket(location.origin.replace('http', 'ws') + '/socket');
    socket.onopen = () => ['one', 'x'.repeat(100000), 'three'].forEach(word => socket.send(word));
    socket.onmessage = event => { heard.push(event.data.length); if (heard.length == 3) socket.close(1000); };
    socket.onclose = event => done([...heard, event.code]); socket.onerror = () => fail('no socket'); }),
};
(async () => {
  for (const [name, attempt] of Object.entries(tries))
    try { found[name] = await attempt(); } catch (error) { found[name] = 'failed: ' + error; }
  const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
  found.protocols = [...new Set(entries.map(entry => entry.nextHopProtocol).filter(Boolean))];
  document.getElementById('report').textContent = JSON.stringify(found, null, 1);
  await fetch('/report', {method: 'POST', body: JSON.stringify(found)});
})();
"""
SERVER = """
const http = require('http'), http2 = require('http2'), crypto = require('crypto');
const [version, port, given] = process.argv.slice(1), files = JSON.parse(given), waiting = [];
let isReported = false;
const later = n => (q, r) => { let k = 0; r.setHeader('content-type', 'text/event-stream');
  const timer = setInterval(() => { r.write(`data: ${++k}\\n\\n`); if (k == n) clearInterval(timer); }, 50); };
const image = Buffer.from(files['/dot.png'][1], 'base64');
const paths = {
  '/dot.png': (q, r) => { r.setHeader('content-type', 'image/png'); r.end(image); },
  '/loaded.png': (q, r) => isReported ? paths['/dot.png'](q, r) : waiting.push(r),
  '/report': (q, r) => { q.resume(); q.on('end', () => { isReported = true; r.end();
    waiting.splice(0).forEach(one => paths['/dot.png'](q, one)); }); },
  '/size': (q, r) => { let size = 0; q.on('data', d => size += d.length).on('end', () => r.end('' + size)); },
  '/echo': (q, r) => q.pipe(r),
  '/say': (q, r, n) => r.end('said ' + n),
  '/pieces': (q, r) => { let k = 0; const timer = setInterval(() => { r.write('piece');
    if (++k == 4) { clearInterval(timer); r.end(); } }, 50); },
  '/moved': (q, r) => { r.statusCode = 302; r.setHeader('location', '/say?again'); r.end(); },
  '/cookie': (q, r) => { r.setHeader('set-cookie', 'taste=sweet; Path=/'); r.end(q.headers.cookie || 'none'); },
  '/tagged': (q, r) => { r.setHeader('etag', '"1"'); if (q.headers['if-none-match']) r.statusCode = 304;
    r.end(r.statusCode == 304 ? undefined : 'tagged'); },
  '/never': () => {},
  '/events': later(3),
};
const answer = (q, r) => {
  const [path, query] = q.url.split('?'), file = files[path];
  if (paths[path]) return paths[path](q, r, query);
  if (!file) { r.statusCode = 404; return r.end('none'); }
  r.setHeader('content-type', file[0]); r.end(file[1]);
};
const frame = (kind, body) => Buffer.concat([body.length < 126 ? Buffer.from([128 + kind, body.length])
  : body.length < 65536 ? Buffer.from([128 + kind, 126, body.length >> 8, body.length & 255])
  : Buffer.from([128 + kind, 127, 0, 0, 0, 0, 0, body.length >> 16, body.length >> 8 & 255, body.length & 255]), body]);
const talk = wire => { let held = Buffer.alloc(0); // WebSocket's frames: each message is sent back
  wire.on('error', () => {}).on('data', data => { held = Buffer.concat([held, data]);
    for (;;) {
      if (held.length < 2) return;
      let size = held[1] & 127, at = 2;
      if (size == 126) { if (held.length < 4) return; size = held.readUInt16BE(2); at = 4; }
      else if (size == 127) { if (held.length < 10) return; size = held.readUInt32BE(6); at = 10; }
      if (held.length < at + 4 + size) return;
      const mask = held.subarray(at, at + 4), kind = held[0] & 15;
      const body = Buffer.from(held.subarray(at + 4, at + 4 + size)).map((byte, n) => byte ^ mask[n % 4]);
      held = held.subarray(at + 4 + size);
      wire.write(frame(kind, body));
      if (kind == 8) return wire.end();
    } }); };
if (version == 'h1') http.createServer(answer).on('upgrade', (q, socket) => {
  const key = q.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nupgrade: websocket\\r\\nconnection: upgrade\\r\\n' +
    'sec-websocket-accept: ' + crypto.createHash('sha1').update(key).digest('base64') + '\\r\\n\\r\\n');
  talk(socket);
}).listen(+port, '127.0.0.1');
else http2.createServer({settings: {enableConnectProtocol: true}}, answer)
  .on('connect', (q, r) => { r.stream.respond({':status': 200}); talk(r.stream); }).listen(+port, '127.0.0.1');
"""
FILES = {"/": ("text/html", PAGE), "/style.css": ("text/css", STYLE), "/script.js": ("text/javascript", SCRIPT),
         "/sign.svg": ("image/svg+xml", SIGN), "/dot.png": ("image/png", DOT)}


def serving(version):
    """Run the site, ``h1`` or ``h2``."""
    port = free_port()
    return running([needs("node"), "-e", SERVER, version, str(port), json.dumps(FILES)], port)


def browse(url, folder, *arguments):
    """Open a page in Chromium; return (its report, the path of a picture)."""
    picture = os.path.join(folder, "picture.png")
    command = [needs("chromium"), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
               "--no-first-run", "--no-default-browser-check", "--disable-background-networking",
               f"--user-data-dir={os.path.join(folder, 'profile')}", "--window-size=900,1100", "--dump-dom",
               f"--screenshot={picture}", *arguments, url]
    done = subprocess.run(command, capture_output=True, timeout=90, cwd=folder)
    said = re.search(rb'<pre id="report">(.*?)</pre>', done.stdout, re.DOTALL)
    assert said, (done.stdout[-2000:], done.stderr[-2000:])
    return json.loads(said[1]), picture


def trusted(mesh):
    """Return the argument by which Chromium takes the certificate of the secret ``server``: the hash of its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    key = x509.load_pem_x509_certificate(mesh.pems("server")[0]).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = base64.b64encode(hashlib.sha256(der).digest()).decode()
    return f"--ignore-certificate-errors-spki-list={digest}"
