"""What the connections of one ``codec_proxy`` share, over reloads: routes in force, upstream connections, counters."""

from meshd.api import NO_ROUTE, TIMEOUT, UNAVAILABLE, flag, header_test
from meshd_plugins.codec_proxy.tunnel import Tunnel
from meshd_plugins.codec_proxy.upstream import Shared

REASONS = {flag.NR: NO_ROUTE, flag.UT: TIMEOUT}
WORDS = {flag.NR: "no_route", flag.UT: "timeout", flag.UO: "overflow", flag.UPE: "protocol_error"}
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Cells:
    """The counters of one codec on one listener."""

    def __init__(self, metrics, listener, codec):
        self.labels = listener, codec
        names = ("listener", "codec")

        def counter(name, doc):
            return metrics.counter(f"meshd_codec_{name}_total", doc, names).cell(*self.labels)

        self.requests = metrics.counter(
            "meshd_codec_requests_total", "requests and sessions of a protocol by how they ended",
            (*names, "cluster_name", "status"))
        self.seconds = metrics.histogram(
            "meshd_codec_request_duration_seconds", "from a request to its response", (*names, "cluster_name"),
            BOUNDS_S)
        self.active = metrics.gauge("meshd_codec_requests_active", "requests without a response, and sessions",
                                    names).cell(*self.labels)
        self.heartbeats = counter("heartbeats", "heartbeats that were answered here")
        self.late = counter("late_responses", "responses that nobody waited for any more")
        self.client_errors = counter("client_protocol_errors", "clients that broke the protocol")
        self.upstream_errors = counter("upstream_protocol_errors", "upstreams that broke the protocol")


class Hub:
    """``take`` puts a filter's configuration in force; ``shared`` are the connections that clients share."""

    def __init__(self):
        self.shared = {}
        self.clients = set()
        self.filters = []

    def take(self, one):
        """Serve by this filter's routes and settings from now on, until ``give``."""
        self.filters.append(one)
        self._obey()

    def give(self, one):
        """The filter has gone; where it was the last one, the one before it counts again (a reload that failed)."""
        if one in self.filters:
            self.filters.remove(one)
        if self.filters:
            self._obey()

    def _obey(self):
        one = self.filter = self.filters[-1]
        clock = one.site.clock
        self.codec, self.cells, self.now, self.later = one.codec, one.cells, clock.now, clock.call_later
        self.max_requests, self.idle_s = one.config.max_requests, one.config.idle_timeout_s
        self.connect = one.site.connect

    def close(self):
        """No runtime wants it any more."""
        for shared in list(self.shared.values()):
            shared.close()

    # Requests

    def route(self, client, frame, view):
        """Find where a request goes and send it there."""
        found = self.pick(client, frame, view)
        if found is None:
            return
        route, name, endpoint = found
        key = name, endpoint.address
        shared = self.shared.get(key)
        if shared is None:
            shared = self.shared[key] = Shared(self, key, name, endpoint.address)
        shared.send(client, frame, view, route.timeout_s)

    def open(self, client, frame, view):
        """Find where a session goes and open it there."""
        found = self.pick(client, frame, view)
        if found is None:
            client.end()
            return
        _, name, endpoint = found
        client.tunnel = Tunnel(self, client, frame, view, name, endpoint.address)

    def pick(self, client, frame, view):
        """Return (route, cluster's name, endpoint), or None after a refusal."""
        route = self.filter.find(view.request.headers)
        if route is None:
            self.refuse(client, frame, view, flag.NR, "no route")
            return None
        cluster = view.cluster = self.filter.site.cluster(route.cluster)
        endpoint = view.endpoint = cluster.pick(view)
        if endpoint is None:
            self.refuse(client, frame, view, flag.UH, "no endpoint can be used")
            return None
        return route, route.cluster, endpoint

    def encode(self, frame, number):
        """Return the bytes of a frame with another id."""
        frame.id, before = number, frame.id
        data = self.codec.encode(frame)
        frame.id = before
        return data

    def refuse(self, client, frame, view, bit, reason):
        """Tell a client that its request comes to nothing."""
        view.refused(bit, reason, self.now())
        self.ended(view, WORDS.get(bit, "unavailable"))
        client.answer(self.codec.refusal(frame, REASONS.get(bit, UNAVAILABLE)))

    def ended(self, view, status):
        """Count a request, and tell the sinks."""
        view.ended = view.ended or self.now()
        cells = self.cells
        name = view.cluster.name if view.cluster is not None else ""
        cells.requests.cell(*cells.labels, name, status).inc()
        if not view.is_local_reply and view.response_began:
            cells.seconds.cell(*cells.labels, name).observe(view.ended - view.started)
        view.session.tell(view)

    def left(self, client):
        """A client has gone."""
        self.clients.discard(client)
        if client.waiting:
            for shared in list(self.shared.values()):
                shared.forget(client)


class Table:
    """The routes; the first whose conditions all hold counts."""

    def __init__(self, routes):
        self._rows = [([header_test(one) for one in route.fields], route) for route in routes]

    def find(self, headers):
        """Return the route for these fields, or None."""
        for tests, route in self._rows:
            if all(test(headers) for test in tests):
                return route
        return None
