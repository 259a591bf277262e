"""A client by Node, over HTTP/1.1 or HTTP/2, that tries all that the Node of ``ends`` serves."""

import json
import subprocess

from tests.integration.harness.ends import needs

SCRIPT = """
const http2 = require('http2'), fs = require('fs'), crypto = require('crypto');
const [version, origin, base, root, size] = process.argv.slice(1), ca = fs.readFileSync(root);
const body = Buffer.alloc(+size, Buffer.from([...Array(251).keys()]));
const digest = data => crypto.createHash('sha256').update(data).digest('hex');
const {request, Agent} = require(origin.startsWith('https') ? 'https' : 'http');
const session = version == 'h2' ? http2.connect(origin, {ca}) : null;
const agent = session ? null : new Agent({keepAlive: true, maxSockets: 20, ca});

// Returns {stream, answer}: what to write to; answer is resolved with the status and fields.
const ask2 = (path, method, fields) => {
  const {trailers, ...rest} = fields;
  const stream = session.request({':path': base + path, ':method': method, ...rest},
    {endStream: method == 'GET', waitForTrailers: !!trailers});
  if (trailers) stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  const found = {stream};
  found.answer = new Promise((done, fail) => { stream.on('error', fail);
    stream.on('trailers', got => { found.trailers = got; });
    stream.on('response', head => done({status: head[':status'], fields: head, body: stream})); });
  return found;
};
const ask1 = (path, method, fields) => {
  const {trailers, ...rest} = fields;
  if (trailers) { rest.trailer = Object.keys(trailers).join(','); rest['transfer-encoding'] = 'chunked'; }
  const stream = request(origin + base + path, {method, agent, ca, headers: rest}), found = {stream};
  if (trailers) stream.addTrailers(trailers);
  found.answer = new Promise((done, fail) => { stream.on('error', fail); stream.on('response', got => {
    got.on('end', () => { found.trailers = got.trailers; });
    done({status: got.statusCode, fields: got.headers, body: got}); }); });
  if (method == 'GET') stream.end();
  return found;
};
const ask = session ? ask2 : ask1;
const whole = async stream => { const parts = []; for await (const part of stream) parts.push(part);
  return Buffer.concat(parts); };
const told = async (path, method = 'GET', sent = '', fields = {}) => { const asked = ask(path, method, fields);
  if (method != 'GET') asked.stream.end(sent);
  return (await whole((await asked.answer).body)).toString(); };
const pause = ms => new Promise(done => setTimeout(done, ms));
const ended = async id => { for (let n = 0; n < 200; n++) { const state = await told('/seen?' + id);
  if (state == 'ended') return state; await pause(25); } return 'still waiting'; };

const tries = {
  many: async () => (await Promise.all([...Array(200).keys()].map(() => told('/proto'))))
    .every(text => text.startsWith('HTTP/')),
  sum: async () => await told('/sum', 'POST', body) == digest(body),
  big: async () => { const asked = ask('/big?' + size, 'GET', {}); const {fields, body: got} = await asked.answer;
    return [fields['content-length'] == size, (await whole(got)).length == size]; },
  both: async () => { const asked = ask('/echo', 'POST', {}), heard = asked.answer.then(got => whole(got.body));
    asked.stream.end(body); return digest(await heard) == digest(body); },
  turns: async () => { const asked = ask('/echo', 'POST', {}); asked.stream.write('0');
    const {body: got} = await asked.answer; let n = 0;
    for await (const part of got) { if (part.toString() != '' + n) return 'heard ' + part;
      if (++n < 20) asked.stream.write('' + n); else if (n == 20) asked.stream.end(); } return n; },
  trailers: async () => { const asked = ask('/trailers', 'POST', {trailers: {'x-sent': 'by client'}});
    asked.stream.end('x'); const text = (await whole((await asked.answer).body)).toString(); await pause(10);
    return [text, asked.trailers['x-sum']]; },
  events: async () => { const asked = ask('/events', 'GET', {}), {body: got} = await asked.answer;
    let pieces = 0, text = ''; for await (const part of got) { pieces++; text += part; } return [pieces > 1, text]; },
  abort: async () => { try { await told('/abort'); return 'whole'; } catch (error) { return 'broken'; } },
  left: async () => { const id = Math.random(), asked = ask('/stall?' + id, 'GET', {}); await asked.answer;
    asked.stream.on('error', () => {});
    session ? asked.stream.close(http2.constants.NGHTTP2_CANCEL) : asked.stream.destroy();
    return ended(id); },
  slow: async () => { const asked = ask('/big?' + size, 'GET', {}), {body: got} = await asked.answer; let length = 0;
    got.pause(); await pause(200); got.resume(); for await (const part of got) length += part.length;
    return length == size; },
  head: async () => { const asked = ask('/none', 'HEAD', {}); asked.stream.end();
    const {status, body: got} = await asked.answer;
    return [status, (await whole(got)).length]; },
  after: async () => told('/sum', 'POST', 'x').then(text => text == digest('x')),
};
(async () => {
  const found = {};
  for (const [name, attempt] of Object.entries(tries))
    try { found[name] = await attempt(); } catch (error) { found[name] = 'failed: ' + error; }
  if (session) { found.alpn = session.alpnProtocol; session.close(); } else agent.destroy();
  process.stdout.write(JSON.stringify(found));
})();
"""


def node_tries(version, origin, base, mesh, size):
    """Return what Node's client found: {attempt: outcome}."""
    command = [needs("node"), "-e", SCRIPT, version, origin, base, mesh.ca, str(size)]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stdout, done.stderr[-3000:]
    return json.loads(done.stdout)
