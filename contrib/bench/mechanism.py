"""meshd and Envoy with every mechanism of failure recovery on the route, configured alike: read by compare.py.

Two endpoints in two localities of which the own one is preferred, active checks, outlier detection, panic threshold,
slow start, breaker with a retry budget, retries with Istio's conditions and a per-try timeout, a mirror and faults at
0 %, local rate limit, admission control and adaptive concurrency with room enough.
"""

from peer import LIMIT, Ground, Peer, envoy_address, envoy_program, meshd_command, typed

RETRIES = ("connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes")
"""Istio's default conditions: the head of each answer is looked at."""
RATE = 1_000_000
CONCURRENCY = 1000


def meshd_text(ground: Ground, name: str) -> str:
    """Return meshd's configuration file."""
    first, second = ground.backend
    return f"""admin: {{address: "127.0.0.1:{ground.port(name + "-admin")}"}}
node: {{locality: r/a}}
listeners:
  - name: public
    address: 127.0.0.1:{ground.port(name)}
    filters:
      - rate_limit: {{rate: {RATE}, per: 1s, burst: {RATE}}}
      - admission_control: {{}}
      - adaptive_concurrency:
          concurrency_limit_params: {{max_concurrency_limit: {CONCURRENCY}}}
          min_rtt_calc_params: {{min_concurrency: {CONCURRENCY}}}
      - fault:
          delay: {{fixed_delay: 1s, percentage: {{numerator: 0}}}}
          abort: {{http_status: 503, percentage: {{numerator: 0}}}}
      - router:
          virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
                - match: {{prefix: /}}
                  cluster: backend
                  timeout: 15s
                  per_try_timeout: 5s
                  retry:
                    retry: {{retry_on: [{", ".join(RETRIES)}], status_codes: [503], attempts: 2}}
                  mirror: [{{cluster: shadow, percent: 0}}]
clusters:
  - name: backend
    endpoints:
      - {{address: "127.0.0.1:{first}", locality: r/a}}
      - {{address: "127.0.0.1:{second}", locality: r/b}}
    load_balancer: round_robin
    balancing:
      panic_threshold: 50
      slow_start: {{window: 10s}}
      locality: {{mode: failover}}
    circuit_breaker:
      limits: {{max_connections: {LIMIT}, max_pending: {LIMIT}, max_requests: {LIMIT}, budget: {{percent: 20}}}}
    outlier_detection:
      outlier_detection: {{}}
    health_checks:
      - {{checker: {{http: {{path: /}}}}, interval: 1s, timeout: 1s}}
  - {{name: shadow, endpoints: [{{address: "127.0.0.1:{first}"}}]}}
telemetry:
  - prometheus
  - access_log: {{path: {ground.folder}/{name}.log}}
"""


def share(numerator: int = 0) -> dict:
    """Return a percentage that the runtime could change, in Envoy's words."""
    return {"default_value": {"numerator": numerator}, "runtime_key": "bench"}


def envoy_filters() -> list[dict]:
    """Return the HTTP filters."""
    name, flag = "envoy.filters.http.", {"default_value": True, "runtime_key": "bench"}
    limit = {"max_concurrency_limit": CONCURRENCY, "concurrency_update_interval": "0.1s"}
    rtt = {"interval": "60s", "request_count": 50, "min_concurrency": CONCURRENCY}
    return [
        typed(name + "local_ratelimit", "filters.http.local_ratelimit.v3.LocalRateLimit", stat_prefix="local",
              token_bucket={"max_tokens": RATE, "tokens_per_fill": RATE, "fill_interval": "1s"},
              filter_enabled=share(100), filter_enforced=share(100)),
        typed(name + "admission_control", "filters.http.admission_control.v3.AdmissionControl", enabled=flag,
              success_criteria={"http_criteria": {"http_success_status": [{"start": 100, "end": 500}]},
                                "grpc_criteria": {"grpc_success_status": [0]}}),
        typed(name + "adaptive_concurrency", "filters.http.adaptive_concurrency.v3.AdaptiveConcurrency", enabled=flag,
              gradient_controller_config={"concurrency_limit_params": limit, "min_rtt_calc_params": rtt,
                                          "sample_aggregate_percentile": {"value": 50}}),
        typed(name + "fault", "filters.http.fault.v3.HTTPFault",
              delay={"fixed_delay": "1s", "percentage": {"numerator": 0}},
              abort={"http_status": 503, "percentage": {"numerator": 0}}),
        typed(name + "router", "filters.http.router.v3.Router"),
    ]


def envoy_listener(ground: Ground, name: str) -> dict:
    """Return the listener with its route."""
    log = typed("file", "access_loggers.file.v3.FileAccessLog", path=str(ground.folder / f"{name}.log"))
    retry = {
        "retry_on": ",".join(RETRIES), "retriable_status_codes": [503], "num_retries": 2,
        "per_try_timeout": "5s", "host_selection_retry_max_attempts": 5,
        "retry_host_predicate": [typed("envoy.retry_host_predicates.previous_hosts",
                                       "retry.host.previous_hosts.v3.PreviousHostsPredicate")],
    }
    mirror = {"cluster": "shadow", "runtime_fraction": share()}
    action = {"cluster": "backend", "timeout": "15s", "retry_policy": retry, "request_mirror_policies": [mirror]}
    route = {"match": {"prefix": "/"}, "route": action}
    manager = typed(
        "http", "filters.network.http_connection_manager.v3.HttpConnectionManager", stat_prefix="public",
        access_log=[log], route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        http_filters=envoy_filters(),
    )
    return {"name": "public", "address": envoy_address(ground.port(name)), "filter_chains": [{"filters": [manager]}]}


def envoy_clusters(ground: Ground) -> list[dict]:
    """Return the cluster and the mirror's; the endpoint of the other locality has priority 1, as Istio writes it."""
    localities = [
        {"locality": {"region": "r", "zone": zone}, "priority": place,
         "lb_endpoints": [{"endpoint": {"address": envoy_address(port)}}]}
        for place, (zone, port) in enumerate(zip("ab", ground.backend, strict=True))
    ]
    limits = {"max_connections": LIMIT, "max_pending_requests": LIMIT, "max_requests": LIMIT,
              "retry_budget": {"budget_percent": {"value": 20}, "min_retry_concurrency": 3}}
    check = {"timeout": "1s", "interval": "1s", "healthy_threshold": 1, "unhealthy_threshold": 3,
             "http_health_check": {"path": "/"}}
    backend = {
        "name": "backend", "type": "STATIC", "lb_policy": "ROUND_ROBIN", "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {"cluster_name": "backend", "endpoints": localities},
        "round_robin_lb_config": {"slow_start_config": {"slow_start_window": "10s"}},
        "common_lb_config": {"healthy_panic_threshold": {"value": 50}},
        "outlier_detection": {}, "health_checks": [check],
    }
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": envoy_address(ground.backend[0])}}]}]
    shadow = {"name": "shadow", "type": "STATIC", "load_assignment": {"cluster_name": "shadow", "endpoints": endpoints}}
    return [backend, shadow]


def envoy(ground: Ground, name: str = "envoy-all") -> list[str]:
    """Return the command of Envoy with everything on."""
    resources = {"listeners": [envoy_listener(ground, name)], "clusters": envoy_clusters(ground)}
    return envoy_program(ground, name, resources)


PEERS = {
    peer.name: peer
    for peer in (
        Peer("envoy-all", envoy),
        Peer("meshd-all", meshd_command("meshd-all", meshd_text)),
        Peer("meshd-all-pure", meshd_command("meshd-all-pure", meshd_text), {"MESHD_PURE": "1"}),
    )
}
