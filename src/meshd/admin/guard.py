"""Who may ask the admin API: only what names this machine's loopback (DNS rebinding, cross-site requests)."""

from ipaddress import ip_address


def is_loopback_host(host: str) -> bool:
    """Say whether an authority (``HOST`` or ``HOST:PORT``) names this machine: localhost or a loopback literal."""
    name = _name(host).lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761 section 6.3
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


def refusal(host: str | None, origin: str | None, site: str | None, is_unix: bool) -> str:
    """Say why a request is refused, "" where it is not.

    ``host``, ``origin`` and ``site`` are the fields Host, Origin and Sec-Fetch-Site, None where absent. A browser
    that was led to loopback by a rebound name still sends that name as Host; a foreign page's form still sends its
    Origin. No browser reaches a unix socket, and its clients put anything into Host.
    """
    if host and not is_unix and not is_loopback_host(host):
        return f"host {host!r}: expected localhost or a loopback address"
    if origin is not None and not is_loopback_host(origin.rpartition("://")[2]):
        return f"origin {origin!r}: expected none, or a loopback address"
    if site is not None and site not in ("same-origin", "none"):
        return f"sec-fetch-site {site!r}: expected same-origin or none"
    return ""
