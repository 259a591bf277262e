"""A cluster's balancer and what surrounds it as ``loadBalancer``, and its outlier detection."""

from meshd_plugins.istio.write.form import given, lose, seconds

SIMPLE = {"round_robin": "ROUND_ROBIN", "least_request": "LEAST_REQUEST", "random": "RANDOM"}
HASHES = {"ring_hash": "ringHash", "maglev": "maglev"}
WARMED = ("ROUND_ROBIN", "LEAST_REQUEST")
COUNTS = (("consecutive_5xx", "consecutive5xxErrors", 100),
          ("consecutive_gateway_failure", "consecutiveGatewayErrors", 0))
"""option, field, and Envoy's share of what it finds that is ejected."""
OUTLIER = (
    "consecutive_5xx", "consecutive_gateway_failure", "consecutive_local_origin_failure", "interval_s",
    "split_external_local_origin_errors", "base_ejection_time_s", "max_ejection_percent", "http_error_codes",
    "enforcing_consecutive_5xx", "enforcing_consecutive_gateway_failure", "enforcing_success_rate",
    "enforcing_local_origin_success_rate",
)
NO_PANIC = 0.0
ENVOY_PANIC = 50.0


def balancer(cluster, node, losses):
    """Return the loadBalancer of a cluster; what it cannot say is added to ``losses``."""
    at = f"cluster {cluster.name}"
    plugin = cluster.load_balancer
    word = plugin.type if plugin is not None else "round_robin"
    found = {}
    if word in SIMPLE:
        found["simple"] = SIMPLE[word]
        if plugin is not None and plugin.config is not None:
            lose(losses, at, plugin.config, (), f"{word}: ")
    elif word in HASHES:
        found["consistentHash"] = _hash(word, plugin.config, at, losses)
    elif word != "dynamic_host":
        losses.append(f"{at}: load balancer {word} is a plugin of meshd's alone")
    lose(losses, at, cluster.balancing, ("panic_threshold", "locality", "slow_start"), "balancing: ")
    found["warmup"] = _warmup(cluster.balancing.slow_start, found.get("simple"), at, losses)
    found["localityLbSetting"] = _locality(cluster, node, "consistentHash" in found, at, losses)
    return given(**found)


def _hash(word, options, at, losses):
    rules = options.hash if options is not None else ()
    if len(rules) > 1:
        losses.append(f"{at}: {word}: only one hash rule can be said: the first is")
    found = _key(rules[0]) if rules else {}
    if options is None:
        return {**found, HASHES[word]: {"tableSize": 65537} if word == "maglev" else {"minimumRingSize": 1024}}
    lose(losses, at, options, ("hash", "minimum_ring_size", "table_size"), f"{word}: ")
    if word == "maglev":
        return {**found, "maglev": {"tableSize": options.table_size}}
    return {**found, "ringHash": {"minimumRingSize": options.minimum_ring_size}}


def _key(rule):
    cookie = rule.cookie
    if cookie is not None:
        return {"httpCookie": {**given(
            name=cookie.name, path=cookie.path,
            attributes=[{"name": name, "value": value} for name, value in cookie.attributes]),
            **({"ttl": seconds(cookie.ttl_s)} if cookie.ttl_s is not None else {})}}
    if rule.header is not None:
        return {"httpHeaderName": rule.header}
    return {"httpQueryParameterName": rule.query} if rule.query is not None else {"useSourceIp": True}


def _warmup(slow, simple, at, losses):
    if slow is None:
        return None
    if simple not in WARMED:
        losses.append(f"{at}: balancing: slow_start has no effect with this balancer")
        return None
    return {"duration": seconds(slow.window_s), "minimumPercent": slow.min_weight_percent,
            "aggression": slow.aggression}


def _locality(cluster, node, is_hashed, at, losses):
    """With outlier detection failover is Istio's default, which ``off`` has to turn off."""
    setting, is_watched = cluster.balancing.locality, cluster.outlier_detection is not None
    if is_hashed or setting.mode == "off":
        if setting.mode != "off":
            losses.append(f"{at}: balancing: localities do not count beside consistent hashing")
        return {"enabled": False} if is_watched and node.locality and not is_hashed else None
    if setting.mode == "distribute":
        return {"distribute": [{"from": one.source, "to": dict(one.targets)} for one in setting.distribute]}
    if setting.mode != "failover":
        losses.append(f"{at}: balancing: locality: mode {setting.mode} has no field of Istio's")
        return None
    if not is_watched:
        losses.append(f"{at}: balancing: locality: failover needs outlier_detection in Istio's documents")
        return None
    return {"enabled": True, **given(failover=[{"from": one.source, "to": one.target} for one in setting.failover],
                                     failoverPriority=list(setting.failover_priority))}


def outlier_detection(cluster, losses):
    """Return the outlierDetection of a cluster, or None."""
    at, plugin, panic = f"cluster {cluster.name}", cluster.outlier_detection, cluster.balancing.panic_threshold
    if plugin is None or plugin.type != "outlier_detection" or plugin.config is None:
        if plugin is not None:
            losses.append(f"{at}: outlier_detection {plugin.type} without options of its own cannot be said")
        if panic != ENVOY_PANIC:
            losses.append(f"{at}: balancing: panic_threshold can only be said with outlier_detection")
        return None
    options = plugin.config
    lose(losses, at, options, OUTLIER, "outlier_detection: ")
    if options.enforcing_success_rate or _is_local_rate(options):
        losses.append(f"{at}: outlier_detection: success rates never eject by Istio's documents")
    if panic != int(panic):
        losses.append(f"{at}: balancing: panic_threshold {panic:g} is rounded to {int(panic)}")
    found = {name: _count(options, option, share, at, losses) for option, name, share in COUNTS}
    return {**{name: number for name, number in found.items() if number is not None}, **given(
        splitExternalLocalOriginErrors=options.split_external_local_origin_errors or None,
        consecutiveLocalOriginFailures=_local(options, at, losses), interval=seconds(options.interval_s),
        baseEjectionTime=seconds(options.base_ejection_time_s), maxEjectionPercent=options.max_ejection_percent,
        minHealthPercent=int(panic) or None, outlierDetectionHttpErrorCodes=_codes(options.http_error_codes))}


def _is_local_rate(options):
    return options.split_external_local_origin_errors and options.enforcing_local_origin_success_rate


def _count(options, name, usual, at, losses):
    """Return the number of a detector: 0 where it never ejects, None where it is as Istio has it by default."""
    number, share = getattr(options, name), getattr(options, f"enforcing_{name}")
    if share not in (0, 100):
        losses.append(f"{at}: outlier_detection: enforcing_{name}: a share of {share} % cannot be said")
    if share == usual and number == 5:
        return None
    return number if share else 0


def _local(options, at, losses):
    number = options.consecutive_local_origin_failure
    if not options.split_external_local_origin_errors or number == 5:
        return None
    if not number:
        losses.append(f"{at}: outlier_detection: consecutive_local_origin_failure: 0 cannot be said")
    return number or None


def _codes(ranges):
    found = []
    for text in ranges:
        first, _, last = str(text).partition("-")
        found += range(int(first), int(last or first) + 1)
    return found
