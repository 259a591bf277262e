"""Certificates that live ten minutes and are replaced under a load over TLS. Used by soak.py.

Clients ask by HTTP/1.1 and HTTP/2 over TLS at the listener ``secure``; from there requests go by mutual TLS to the
listener ``inner``, which answers itself and says whose certificate it has seen. No request may fail, and whatever is
connected ``SEEN_S`` after a change shows the newest certificate.
"""

import contextlib
import hashlib
import http.client
import re
import ssl
import sys
import threading
import time
from collections.abc import Callable

from tests.integration.process import free_port
from tests.integration.harness.h2 import H2Client, request
from tests.integration.harness.tls import CLIENT_ID, SERVER_ID, Mesh

LIFE_DAYS = 10 / 1440
"""Ten minutes, in days."""
SEEN_S = 5.0
"""How soon new connections show the newest certificate: files are looked at each second; more is for busy machines."""
HOP_S = 15.0
"""The same for requests that go on to ``inner``, on connections that are left after ``HOP_REQUESTS``."""
HOP_REQUESTS = 10
PAUSE_S = 0.05
"""Between the requests of each client."""
STREAMS = 4
ROUNDS = 50
"""Requests on one connection of HTTP/2, times ``STREAMS``."""
NAMES = {"server": ("shop.test", "ip:127.0.0.1", f"uri:{SERVER_ID}"), "client": (f"uri:{CLIENT_ID}",)}
BODY = re.compile(rb"word \d+ for By=[^;]+;Hash=([0-9a-f]{64})")
"""What ``inner`` answers, with the SHA-256 of the certificate that was shown to it."""


class Renewal:
    """The certificates, the listeners that show them, and the load. Use it in a ``with``: then the folder is there.

    ``faults`` are what went wrong, ``answered`` counts answers, ``seen_s`` is the longest time until a change was seen.
    """

    def __init__(self) -> None:
        self.mesh = Mesh()
        self.ports = {"secure": free_port(), "inner": free_port()}
        self._is_over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._retired: dict[str, dict[str, float]] = {"server": {}, "client": {}}
        self._newest: dict[str, str] = {}
        self._unseen_since: float | None = None
        self.renewals = self.answered = self.connections = 0
        self.seen_s = 0.0
        self.faults: list[str] = []

    def __enter__(self) -> "Renewal":
        self.mesh.__enter__()
        self.renew()
        self.renewals, self._unseen_since = 0, None
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        self.mesh.__exit__()

    def renew(self) -> None:
        """Replace both certificates, as an operator does."""
        now = time.monotonic()
        for secret, names in NAMES.items():
            shown = hashlib.sha256(self.mesh.issue(secret, *names, days=LIFE_DAYS).der).hexdigest()
            if secret in self._newest:
                self._retired[secret][self._newest[secret]] = now
            self._newest[secret] = shown
        self._unseen_since = now
        self.renewals += 1

    def added_to(self, configuration: dict, word: str) -> dict:
        """Return a configuration with both listeners, and the cluster between them; ``inner`` answers ``word``."""
        body = f"{word} for %REQ(x-forwarded-client-cert)%"
        answer = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": body}}
        hop = {"name": "inner", "endpoints": [{"address": f"127.0.0.1:{self.ports['inner']}"}],
               "tls": self.mesh.calling(), "pool": {"max_requests_per_connection": HOP_REQUESTS}}
        asked = self.mesh.serving(client_certificate="required")
        way = {"match": {"prefix": "/"}, "cluster": "inner"}
        return configuration | {
            "secrets": {"directory": str(self.mesh.folder)},
            "listeners": [*configuration["listeners"],
                          self._listener("secure", self.mesh.serving(), way),
                          self._listener("inner", asked, answer)
                          | {"http": {"forward_client_cert_details": "sanitize_set"}}],
            "clusters": [*configuration["clusters"], hop]}

    def _listener(self, name: str, tls: dict, route: dict) -> dict:
        router = {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]}
        return {"name": name, "address": f"127.0.0.1:{self.ports[name]}", "tls": tls, "filters": [{"router": router}]}

    # The load

    def start(self) -> None:
        """Begin to ask."""
        self._context = self.mesh.context()
        for talk in (self._once, self._for_ever, self._by_http2):
            thread = threading.Thread(target=self._keep, args=(talk,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _keep(self, talk: Callable[[], None]) -> None:
        while not self._is_over.is_set():
            try:
                talk()
            except Exception as error:  # whatever it is, it is a request that has failed
                self.faults.append(f"over TLS: {talk.__name__.strip('_')}: {error!r}")
                self._is_over.wait(PAUSE_S)

    def _once(self) -> None:
        self._by_http1(1)

    def _for_ever(self) -> None:
        self._by_http1(sys.maxsize)

    def _by_http1(self, count: int) -> None:
        connection = http.client.HTTPSConnection("127.0.0.1", self.ports["secure"], timeout=20, context=self._context)
        began_s = time.monotonic()
        with contextlib.closing(connection):
            connection.connect()
            self._look_at(connection.sock, began_s)
            while count and not self._is_over.is_set():
                began_s = time.monotonic()
                connection.request("GET", "/")
                answer = connection.getresponse()
                self._judge(answer.status, answer.read(), began_s)
                self._is_over.wait(PAUSE_S)
                count -= 1

    def _by_http2(self) -> None:
        began_s = time.monotonic()
        with H2Client(self.ports["secure"], context=self._context) as client:
            self._look_at(client.socket, began_s)
            for _ in range(ROUNDS):
                began_s = time.monotonic()
                streams = [client.begin(request("/")) for _ in range(STREAMS)]
                for answer in client.wait(*streams):
                    self._judge(answer.status, answer.body, began_s)
                if self._is_over.wait(PAUSE_S * STREAMS):
                    return

    # What it has seen

    def _look_at(self, sock: ssl.SSLSocket, began_s: float) -> None:
        shown = hashlib.sha256(sock.getpeercert(True)).hexdigest()
        self.connections += 1
        self._expect_new("server", shown, began_s, SEEN_S)
        if shown == self._newest["server"] and self._unseen_since is not None:
            self.seen_s = max(self.seen_s, began_s - self._unseen_since)
            self._unseen_since = None

    def _judge(self, status: int, body: bytes, began_s: float) -> None:
        found = BODY.fullmatch(body)
        if status != 200 or found is None:
            raise ValueError(f"answered {status} {body[:200]!r}")
        self._expect_new("client", found[1].decode(), began_s, HOP_S)
        self.answered += 1

    def _expect_new(self, secret: str, shown: str, began_s: float, limit_s: float) -> None:
        retired_s = self._retired[secret].get(shown)
        if retired_s is not None and began_s - retired_s > limit_s:
            self.faults.append(f"certificate of the {secret} shown {began_s - retired_s:.1f} s after its renewal: "
                               f"expected at most {limit_s:g}")

    def judged(self) -> list[str]:
        """Return all faults, after the end of the load."""
        unseen_s = 0.0 if self._unseen_since is None else time.monotonic() - self._unseen_since
        late = [f"the newest certificate was not seen in {unseen_s:.1f} s"] if unseen_s > SEEN_S else []
        none = [] if self.answered else ["nothing was answered over TLS"]
        return self.faults + late + none

    def __str__(self) -> str:
        return (f"over TLS: {self.answered} answered on {self.connections} connections; {self.renewals} renewals of "
                f"certificates, each seen within {self.seen_s:.2f} s; {len(self.faults)} faults")
