"""The filter ``rate_limit_service``, called by the chain for each request (Envoy's envoy.filters.http.ratelimit).

Strategy: a request that no descriptor is made of passes at once. Others wait for the one call of theirs, within its
time; a client that leaves meanwhile cancels it. What the answer wants added stands in the exchange's metadata until the
response comes, also one of our own.
"""

from meshd.api import CONTINUE, STOP, CallError, flag, grpc, grpc_call, grpc_message
from meshd_plugins.rate_limit_service import wire
from meshd_plugins.rate_limit_service.action import compile_limits

DETAIL = "request_rate_limited"
ERROR_DETAIL = "rate_limiter_error"
RATE_LIMITED = (b"x-envoy-ratelimited", b"true")
RESULTS = ("ok", "over_limit", "failed_open", "failed_closed")


class RateLimitServiceFilter:
    """Asks about each request."""

    def __init__(self, config, site):
        self._config = config
        self._name = site.name
        self._call = site.call
        self._describe = compile_limits(config.rate_limits, site.node)
        self._authority = (config.authority or config.cluster).encode()
        self._added = tuple((name.encode(), value.encode()) for name, value in config.response_headers_to_add)
        self._has_limits = config.enable_x_ratelimit_headers != "OFF"
        results = site.metrics.counter(
            "meshd_rate_limit_service_requests_total", "Requests by what a rate-limit service has said of them",
            ("filter", "result"))
        self._cells = {result: results.cell(site.name, result) for result in RESULTS}
        self._log = site.log
        self._is_failing = False

    def on_request(self, exchange):
        """Ask, where there is a descriptor; return a Deferred of the verdict."""
        if exchange.route is None:
            return CONTINUE
        descriptors = self._describe(exchange)
        if not descriptors:
            return CONTINUE
        config = self._config
        request = grpc_call(
            wire.METHOD, wire.request_of(config.domain, descriptors, config.hits_addend), authority=self._authority,
            timeout_s=config.timeout_s)
        asked = self._call(config.cluster, request)
        asked.addCallback(self._read)
        return asked.addCallbacks(self._heed, self._miss, callbackArgs=(exchange,), errbackArgs=(exchange,))

    def _read(self, answer):
        return wire.answer_of(grpc_message(answer))

    def _heed(self, answer, exchange):
        """The service has decided."""
        if self._is_failing:
            self._is_failing = False
            self._log.info("rate-limit service: cluster {cluster} answers again", cluster=self._config.cluster)
        added = answer.response_headers + (answer.limits if self._has_limits else ())
        if answer.is_over:
            added = (*added, *self._added)
        if answer.is_over and not self._config.disable_x_envoy_ratelimited_header:
            added = (*added, RATE_LIMITED)
        if added:
            exchange.metadata[self._name] = added
        if answer.is_over:
            self._cells["over_limit"].inc()
            self._refuse(exchange, answer.body)
            return STOP
        self._cells["ok"].inc()
        for name, value in answer.request_headers:
            exchange.request.headers.add(name, value)
        return CONTINUE

    def _refuse(self, exchange, body):
        is_exhausted = self._config.rate_limited_as_resource_exhausted and grpc.is_grpc(exchange.request.headers)
        headers = ((grpc.STATUS, b"%d" % grpc.RESOURCE_EXHAUSTED),) if is_exhausted else ()
        exchange.reply(self._config.rate_limited_status, body, headers, flag=flag.RL, detail=DETAIL)

    def _miss(self, failure, exchange):
        """There is no answer: pass, or refuse; said in the log once, until there is one again."""
        failure.trap(CallError, ValueError)
        if not self._is_failing:
            self._is_failing = True
            self._log.warn("rate-limit service: cluster {cluster}: {cause}", cluster=self._config.cluster,
                           cause=failure.getErrorMessage())
        if not self._config.failure_mode_deny:
            self._cells["failed_open"].inc()
            return CONTINUE
        self._cells["failed_closed"].inc()
        exchange.reply(self._config.status_on_error, b"", flag=flag.RLSE, detail=ERROR_DETAIL)
        return STOP

    def on_response(self, exchange):
        """Put on the response what the service wants there; its content type counts on a refusal."""
        added = exchange.metadata.pop(self._name, None)
        if added is None:
            return
        headers = exchange.response.headers
        is_call = exchange.is_local_reply and grpc.is_grpc(exchange.request.headers)
        for name, value in added:
            if name == b"content-type" and is_call:
                continue
            if name == b"content-type" and exchange.is_local_reply:
                headers.remove(name)
            headers.add(name, value)

    def explain(self, exchange):
        """Say what would be asked; nobody is."""
        descriptors = self._describe(exchange) if exchange.route is not None else []
        if not descriptors:
            return "asks nobody: no descriptor is made of this request"
        texts = ["(" + ", ".join(f"{key}={value}" for key, value in entries) + ")" for entries in descriptors]
        return f"asks the service at cluster {self._config.cluster}, domain {self._config.domain}: {' '.join(texts)}"
