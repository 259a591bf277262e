"""Retries and cross-origin rules to the native ``retry`` policy and ``cors`` filter, with Istio's defaults."""

from meshd_plugins.istio.emit import At, default, field, seconds

ATTEMPTS = 2
RETRY_ON = ("connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes")
"""Istio's default policy. Plain 503 is not in it (istio/istio #50506)."""
STATUSES = "retriable-status-codes"
NAMELESS = "retriable-headers"
REMOTE_EVERY = 2
"""With retryRemoteLocalities the priorities of earlier attempts are left out after every second one (Istio's)."""


def retries_of(rule, scope):
    """Return the retries in force for a rule, its own or the mesh's, or None."""
    return rule.retries if rule.retries is not None else getattr(scope.mesh.config, "default_http_retry_policy", None)


def per_try_timeout(rule, scope):
    """Return the native time-out of each attempt, or None. It is a part of the retries: without them there is none."""
    retries = retries_of(rule, scope)
    if retries is None or not retries.attempts or not retries.per_try_timeout_s:
        return None
    return At(field(retries, "perTryTimeout"), seconds(retries.per_try_timeout_s))


def native_retry(rule, scope, is_hashed=False):
    """Return the native retry policy of a rule: its own, the mesh's, or Istio's.

    With ``is_hashed`` (a destination has consistentHash) a retry goes to the key's endpoint again, as in Istio.
    """
    retries = retries_of(rule, scope)
    if retries is None:
        return default(_policy(RETRY_ON, ATTEMPTS, is_hashed=is_hashed))
    if retries.attempts == 0:
        return At(retries.node, {"retry": {}, "disabled": True})
    words = tuple(word.strip() for word in retries.retry_on.split(",") if word.strip())
    if NAMELESS in words:
        scope.clusters.context.unsupported(field(retries, "retryOn"), "retries.retryOn",
                                           f"{NAMELESS} has no effect, as no fields are named")
    return At(retries.node, _policy(words or RETRY_ON, retries.attempts, retries, is_hashed))


def _policy(words, attempts, retries=None, is_hashed=False):
    statuses = [int(word) for word in words if word.isdecimal()]
    kept = [word for word in words if word != NAMELESS and not word.isdecimal() and (word != STATUSES or statuses)]
    if statuses and STATUSES not in kept:
        kept.append(STATUSES)
    backoff_s = getattr(retries, "backoff_s", None)
    is_elsewhere = getattr(retries, "retry_ignore_previous_hosts", None)
    if is_elsewhere is None:
        is_elsewhere = not is_hashed
    return {"retry": {
        "retry_on": kept, "status_codes": statuses or None, "attempts": min(attempts, 100), "methods": ["*"],
        "base": backoff_s and seconds(backoff_s),
        "previous_hosts": None if is_elsewhere else False,
        "reselect_priority_every": REMOTE_EVERY if getattr(retries, "retry_remote_localities", None) else None,
    }}


def native_cors(cors):
    """Return what ``filters`` of a route says of the filter ``cors``, or None where no origin could ever match."""
    if cors is None or not (cors.allow_origin or cors.allow_origins):
        return None
    origins = [{"exact": one} for one in cors.allow_origin]
    origins += [At(one.node, _origin(one)) for one in cors.allow_origins]
    forward = cors.unmatched_preflights != "IGNORE"
    return {"cors": {"cors": At(cors.node, {
        "allow_origins": origins, "allow_methods": list(cors.allow_methods),
        "allow_headers": list(cors.allow_headers), "expose_headers": list(cors.expose_headers),
        "max_age": cors.max_age_s and seconds(cors.max_age_s), "allow_credentials": cors.allow_credentials,
        "unmatched_preflights": "forward" if forward else "ignore",
    })}}


def _origin(one):
    return {key: getattr(one, key) for key in ("exact", "prefix", "regex") if getattr(one, key) is not None}
