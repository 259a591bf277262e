"""The filter ``fault``, called by the chain for each request.

Strategy: as Envoy's. The conditions and ``max_active_faults`` come first; then the answer's rate is chosen, the request
is delayed (a timer, no thread; it ends when the client goes), and then perhaps aborted, each by a draw of its own.
The delay comes before the route's timeouts begin, and nothing of it is retried, as the filter stands before the router.
A request with a fault counts as active until it ends, however many faults it has.
"""

from twisted.internet.defer import Deferred

from meshd.api import CONTINUE, STOP, flag, format_duration, grpc, header_test
from meshd_plugins.fault.chance import capped, is_drawn, number, source_test
from meshd_plugins.fault.config import MAX_DELAY_S

DETAIL = "fault_filter_abort"
BODY = b"fault filter abort"
"""Envoy's response code detail, and its body."""

DELAY, DELAY_PERCENTAGE = b"x-envoy-fault-delay-request", b"x-envoy-fault-delay-request-percentage"
ABORT, ABORT_PERCENTAGE = b"x-envoy-fault-abort-request", b"x-envoy-fault-abort-request-percentage"
GRPC_ABORT = b"x-envoy-fault-abort-grpc-request"
RATE, RATE_PERCENTAGE = b"x-envoy-fault-throughput-response", b"x-envoy-fault-throughput-response-percentage"
CONTROLS = (DELAY, DELAY_PERCENTAGE, ABORT, ABORT_PERCENTAGE, GRPC_ABORT, RATE, RATE_PERCENTAGE)
NODE = b"x-envoy-downstream-service-node"
NO_LIMIT = 2**30

COUNTERS = (
    ("delays", "envoy_http_fault_delays_injected", "requests that were delayed on purpose"),
    ("aborts", "envoy_http_fault_aborts_injected", "requests that were answered on purpose"),
    ("slowed", "envoy_http_fault_response_rl_injected", "answers that were chosen to be slowed down"),
    ("overflow", "envoy_http_fault_faults_overflow", "requests without a fault because of max_active_faults"),
)


class Cells:
    """The counters of one filter, and how many requests have a fault now."""

    def __init__(self, site):
        for name, metric, doc in COUNTERS:
            setattr(self, name, site.metrics.counter(metric, doc, ("filter",)).cell(site.name))
        self.active = site.metrics.gauge(
            "envoy_http_fault_active_faults", "requests that have a fault now", ("filter",)).cell(site.name)


class Active:
    """The requests that have a fault, of a filter and all that routes put in its place: a route may change."""

    def __init__(self):
        self.ids = set()
        self.rates = {}
        self.paces = {}


class FaultFilter:
    """One configuration of faults: the chain's, or what a route has in its place."""

    def __init__(self, config, site):
        self._config = config
        self._random = site.random
        self._later = site.clock.call_later
        self._pace = site.pace_response
        self._cells = Cells(site)
        owner = site.owner.partition(": route ")[0]
        self._ledger = site.ledger(("fault", owner, site.name), 1)
        self._limit = NO_LIMIT if config.max_active_faults is None else config.max_active_faults
        self._active = site.state("worker", ("fault", owner, site.name), Active)
        self._conditions = tuple(header_test(match) for match in config.headers)
        self._nodes = frozenset(node.encode() for node in config.downstream_nodes)
        self._is_trusted = source_test(config.trusted_sources)
        if config.response_rate_limit is not None:
            self.on_response = self._slow
        faults = (config.delay, config.abort, config.response_rate_limit)
        if not any(fault is not None and (fault.is_by_header or fault.percentage.numerator) for fault in faults):
            self.on_request = self._pass

    def on_request(self, exchange):
        """Draw, and inject what was drawn."""
        self._pass(exchange)
        headers = exchange.request.headers
        if self._obstacle(exchange):
            return CONTINUE
        if self._ledger.used(0) >= self._limit:
            self._cells.overflow.inc()
            return CONTINUE
        self._draw_rate(exchange)
        delay_s = self._delay_s(headers)
        if delay_s is None or not self._is_drawn(self._config.delay, headers, DELAY_PERCENTAGE):
            return self._go_on(exchange)
        self._count(exchange, self._cells.delays)
        exchange.flags |= flag.DI
        return self._wait(exchange, delay_s)

    def _pass(self, exchange):
        """Drop the fault fields of clients that may not ask; all there is to do where no fault can be drawn."""
        headers = exchange.request.headers
        if b"\r\nx-envoy-fault-" in headers.low and not self._is_trusted(exchange.client):
            for name in CONTROLS:
                headers.remove(name)
        return CONTINUE

    def on_complete(self, exchange):
        """The request has ended: it has no fault any more."""
        active, key = self._active, exchange.stream_id
        if key in active.ids:
            active.ids.discard(key)
            active.rates.pop(key, None)
            pace = active.paces.pop(key, None)
            if pace is not None:
                pace.cancel()
            self._ledger.give(0)
            self._cells.active.dec()

    def _obstacle(self, exchange):
        """Return why this request gets no fault, or ''."""
        config = self._config
        headers = exchange.request.headers
        if config.upstream_cluster and not leads_to(exchange.route, config.upstream_cluster):
            return f"its route does not lead to the cluster {config.upstream_cluster}"
        if self._nodes and headers.get(NODE) not in self._nodes:
            return f"its {NODE.decode()} is not one of downstream_nodes"
        for match, holds in zip(config.headers, self._conditions):
            if not holds(headers):
                return f"its field {match.name} is not as asked for"
        return ""

    def _is_drawn(self, fault, headers, field):
        share = fault.percentage
        numerator = capped(share.numerator, headers.get(field)) if fault.is_by_header else share.numerator
        return is_drawn(self._random, numerator, share.total)

    def _count(self, exchange, cell):
        cell.inc()
        if exchange.stream_id not in self._active.ids and self._ledger.take(0, NO_LIMIT):
            self._active.ids.add(exchange.stream_id)
            self._cells.active.inc()

    # Delay

    def _delay_s(self, headers):
        delay = self._config.delay
        if delay is None:
            return None
        if not delay.header_delay:
            return delay.fixed_delay_s
        milliseconds = number(headers.get(DELAY), 1, int(MAX_DELAY_S * 1000))
        return None if milliseconds is None else milliseconds / 1000

    def _wait(self, exchange, delay_s):
        """Return a Deferred that goes on after ``delay_s`` seconds; cancelling it ends the timer."""
        waiting = Deferred(lambda _: call.cancel())
        waiting.addCallback(lambda _: self._go_on(exchange))
        call = self._later(delay_s, waiting.callback, None)
        return waiting

    # Abort

    def _go_on(self, exchange):
        """What follows the delay: abort, or continue."""
        abort = self._config.abort
        headers = exchange.request.headers
        if abort is None:
            return CONTINUE
        status, code = self._statuses(abort, headers)
        if status is None and code is None or not self._is_drawn(abort, headers, ABORT_PERCENTAGE):
            return CONTINUE
        self._count(exchange, self._cells.aborts)
        refuse(exchange, status, code)
        return STOP

    def _statuses(self, abort, headers):
        """Return (HTTP status or None, gRPC status or None)."""
        if not abort.header_abort:
            return abort.http_status, abort.grpc_status
        status = number(headers.get(ABORT), 200, 599)
        return status, number(headers.get(GRPC_ABORT), 0, 16) if status is None else None

    # The answer's rate

    def _draw_rate(self, exchange):
        limit = self._config.response_rate_limit
        if limit is None:
            return
        headers = exchange.request.headers
        rate = number(headers.get(RATE), 1, 10_000_000) if limit.header_limit else limit.limit_kbps
        if rate is not None and self._is_drawn(limit, headers, RATE_PERCENTAGE):
            self._count(exchange, self._cells.slowed)
            self._active.rates[exchange.stream_id] = rate * 1024

    def _slow(self, exchange):
        rate = self._active.rates.pop(exchange.stream_id, None)
        if rate is not None and not exchange.is_local_reply:
            self._active.paces[exchange.stream_id] = self._pace(exchange, rate)

    def explain(self, exchange):
        """Say which faults a request may get; nothing is drawn."""
        headers = exchange.request.headers
        if not self._is_trusted(exchange.client):
            for name in CONTROLS:
                headers.remove(name)
        why = self._obstacle(exchange)
        found = [] if why else list(self._chances(headers))
        return "; ".join(found) or f"no fault: {why or 'none is asked for'}"

    def _chances(self, headers):
        config = self._config
        delay_s = self._delay_s(headers)
        if delay_s is not None:
            yield f"delays {share_text(config.delay)} by {format_duration(delay_s)}"
        if config.abort is not None:
            status, code = self._statuses(config.abort, headers)
            if status is not None or code is not None:
                what = f"status {status}" if status is not None else f"gRPC status {code}"
                yield f"aborts {share_text(config.abort)} with {what}"
        limit = config.response_rate_limit
        if limit is not None:
            rate = number(headers.get(RATE), 1, 10_000_000) if limit.header_limit else limit.limit_kbps
            if rate is not None:
                yield f"slows answers of {share_text(limit)} down to {rate} KiB/s"


def share_text(fault):
    """Return a share as text: ``0.5 % of requests``."""
    share = fault.percentage
    return f"{100 * share.numerator / share.total:g} % of requests"


def leads_to(route, cluster):
    """Say whether a route forwards to ``cluster`` and to no other."""
    plan = getattr(route, "plan", None)
    if plan is None:
        return False
    return all(row[1] is not None and row[1].name == cluster for row in plan.clusters)


def refuse(exchange, status, code):
    """Answer in the place of the upstream."""
    is_call = code is not None and grpc.is_grpc(exchange.request.headers)
    headers = ((grpc.STATUS, b"%d" % code),) if is_call else ()
    exchange.reply(grpc.HTTP_STATUS[code] if status is None else status, BODY, headers, flag=flag.FI, detail=DETAIL)
