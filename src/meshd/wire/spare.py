"""Descriptors that are kept back: when clients have taken nearly all, the upstreams' and the admin API's are still
there.

Used by listeners (before they accept more) and dials. The kernel gives the lowest free number, so one number tells.
"""

import os
import resource

CLIENTS = 64
"""Kept from clients, for upstreams, the admin API, logs and reloads; a quarter where there are few."""
UPSTREAMS = 16
"""Kept from upstreams, for the admin API, logs and reloads; a sixteenth where there are few."""


def client_ceiling() -> int:
    """Return the lowest descriptor number at which no more clients are taken."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return limit - min(CLIENTS, limit // 4)


def upstream_ceiling() -> int:
    """Return the lowest descriptor number at which no more connections are opened."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return limit - min(UPSTREAMS, limit // 16)


def lowest_free(fd: int) -> int:
    """Return the lowest free descriptor number; ``fd`` is any open one. Raises OSError where there is none."""
    copy = os.dup(fd)
    os.close(copy)
    return copy
