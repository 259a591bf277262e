"""What an EnvoyFilter's patch is for, and what is native in its place. For ``envoy_filter``."""

USES = (
    (("local_ratelimit", "local_rate_limit"), "local rate limit", "write a RateLimitPolicy document"),
    (("filters.http.ratelimit", "v3.ratelimit", "rate_limit_service", "rate_limits"), "rate limit",
     "write a RateLimitPolicy document; with store its tokens are shared, with keys from header, address and path"),
    (("filters.http.lua", "v3.lua"), "Lua",
     "edits of header fields: the filter header_mutation, or headers of a VirtualService; all else: a filter in Python "
     "(meshctl plugins new)"),
    (("header_mutation", "header_to_metadata", "request_headers_to", "response_headers_to"), "edits of header fields",
     "the filter header_mutation, or headers of a VirtualService"),
    (("ext_authz",), "external authorization",
     "the filter authentication with an authenticator; one of your own in Python asks whom it likes"),
    (("jwt_authn",), "JWT", "a RequestAuthentication document"),
    (("oauth2",), "OAuth 2", "the filter authentication with an authenticator of your own in Python"),
    (("filters.http.rbac", "v3.rbac"), "RBAC", "an AuthorizationPolicy document"),
    (("basic_auth",), "basic authentication", "the filter authentication with the authenticator basic"),
    (("api_key_auth",), "API keys", "the filter authentication with the authenticator api_key"),
    (("compressor", "gzip", "brotli"), "compression", "the filter compression"),
    (("filters.http.cors", "v3.cors"), "CORS", "corsPolicy of a VirtualService, or the filter cors"),
    (("filters.http.buffer", "v3.buffer", "max_request_bytes"), "a bound for bodies", "the filter body_limit"),
    (("filters.http.fault", "v3.httpfault"), "faults on purpose", "fault of a VirtualService"),
    (("adaptive_concurrency", "admission_control"), "admission",
     "the filters adaptive_concurrency and admission_control of the native file, or connectionPool of a "
     "DestinationRule"),
    (("wasm",), "WebAssembly", ""),
    (("ext_proc",), "external processing", "a filter in Python, with isolation: process if it is to run apart"),
    (("grpc_json_transcoder", "grpc_web", "grpc_http1"), "gRPC for others", ""),
    (("access_log",), "access log", "the telemetry sink access_log, of a listener or of all"),
    (("tracing", "opentelemetry", "zipkin"), "tracing", "a Telemetry document"),
    (("stats", "stat_prefix"), "metrics", "the telemetry sink prometheus"),
    (("proxy_protocol",), "PROXY protocol", "proxyProtocol of a DestinationRule, towards upstreams"),
    (("preserve_case", "header_key_format"), "the case of field names", "nothing: they leave as they came"),
    (("server_header_transformation", "server_name"), "the field server", "http.server_name of a listener"),
    (("xff_num_trusted_hops", "use_remote_address"), "the client's address",
     "http.xff_num_trusted_hops and http.use_remote_address of a listener"),
    (("normalize_path", "merge_slashes", "path_with_escaped"), "paths",
     "http.normalize_path, http.merge_slashes and http.path_with_escaped_slashes_action of a listener"),
    (("upgrade_configs",), "upgrades", "http.upgrades of a listener"),
    (("max_request_headers_kb", "max_headers_count"), "bounds of heads",
     "limits.max_head and limits.max_fields of a listener"),
    (("stream_idle_timeout", "idle_timeout", "request_timeout", "request_headers_timeout", "max_connection_duration",
      "drain_timeout", "delayed_close_timeout"), "timers",
     "timeouts of a listener (headers, body_gap, idle, stream_idle, send, max_connection), pool.idle_timeout of a "
     "cluster"),
    (("per_connection_buffer_limit",), "buffers",
     "limits.buffer_high and limits.buffer_low of a listener, pool.buffer_high and pool.buffer_low of a cluster"),
    (("max_requests_per_connection", "max_connections"), "bounds of connections",
     "limits of a listener, connectionPool of a DestinationRule"),
    (("circuit_breakers", "thresholds"), "circuit breaker", "connectionPool of a DestinationRule"),
    (("outlier_detection",), "outlier detection", "outlierDetection of a DestinationRule"),
    (("health_checks",), "health checks",
     "health_checks of a native cluster, or outlierDetection of a DestinationRule"),
    (("retry_policy",), "retries", "retries of a VirtualService"),
    (("lb_policy", "load_assignment", "common_lb_config"), "balancing", "loadBalancer of a DestinationRule"),
    (("hash_policy",), "balancing by hash", "loadBalancer.consistentHash of a DestinationRule"),
    (("tcp_keepalive",), "keepalive", "connectionPool.tcp.tcpKeepalive of a DestinationRule"),
    (("socket_options",), "options of sockets", ""),
    (("transport_socket", "tls_params"), "TLS", "tls of a Gateway's server or of a DestinationRule"),
)
"""(words that stand in the patch, what it is for, what is native in its place); the first that is found."""

MAX_WORDS = 5000


def replacement(patch):
    """Return (what the patch is for, what is native in its place or '')."""
    words = list(_words(patch))
    for known, what, instead in USES:
        if any(one in word for word in words for one in known):
            return what, f"in its place: {instead}" if instead else ""
    return f"{patch.patch.operation} of {patch.apply_to}", ""


def _words(patch):
    """Yield the names, types and keys of what the patch brings, and of the filter that it is for, in lower case."""
    value = patch.patch.value
    yield from _in(value, MAX_WORDS)
    listener = patch.match.listener if patch.match is not None else None
    chain = listener.filter_chain if listener is not None else None
    found = chain.filter if chain is not None else None
    is_change = patch.patch.operation in ("MERGE", "REMOVE", "REPLACE", "MERGE_AND_REPLACE_LIST")
    if found is not None and is_change:
        yield (found.sub_filter.name if found.sub_filter is not None else found.name).lower()


def _in(value, most):
    stack = [value]
    while stack and most:
        most -= 1
        one = stack.pop()
        if isinstance(one, dict):
            for key, inner in one.items():
                yield str(key).lower()
                if key in ("name", "@type", "type_url") and isinstance(inner, str):
                    yield inner.lower()
                stack.append(inner)
        elif isinstance(one, (list, tuple)):
            stack += one
