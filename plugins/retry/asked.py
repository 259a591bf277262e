"""What a request's own fields add to a retry policy (Envoy's router filter, x-envoy-retry-on and the others)."""

import attrs

from meshd.api import HeaderMatch
from meshd_plugins.retry.condition import is_status, known

MOST = 100
"""Retries that a field may ask for, as many as the configuration may."""
DEFAULT_ATTEMPTS = 1
"""Envoy's number of retries where a request asks for some and nobody says how many."""


def with_fields(options, fields):
    """Return ``options`` with the wishes of ``fields`` (dict of lower-case name to bytes); what is none is left out.

    Conditions, statuses and field names are added to the policy's; the number of retries takes its place. Statuses and
    field names count where the conditions say so, as in Envoy.
    """
    words = _words(fields, b"x-envoy-retry-on") + _words(fields, b"x-envoy-retry-grpc-on")
    own = options.retry_on if options.attempts else ()
    retry_on = tuple(dict.fromkeys(own + known(words)))
    codes, names = options.status_codes, options.retriable_headers
    if "retriable-status-codes" in retry_on:
        codes += tuple(int(word) for word in _words(fields, b"x-envoy-retriable-status-codes") if is_status(word))
    if "retriable-headers" in retry_on:
        names += tuple(HeaderMatch(name=name.lower()) for name in _words(fields, b"x-envoy-retriable-header-names"))
    attempts = options.attempts or DEFAULT_ATTEMPTS
    wanted = fields.get(b"x-envoy-max-retries", b"")
    if wanted.isdigit():
        attempts = min(MOST, int(wanted[:9]))
    return attrs.evolve(
        options, retry_on=retry_on, attempts=attempts, status_codes=codes, retriable_headers=names)


def _words(fields, name):
    """Return the words of a list that commas part."""
    text = fields.get(name, b"").decode("latin-1")
    return tuple(word for part in text.split(",") if (word := part.strip()))
