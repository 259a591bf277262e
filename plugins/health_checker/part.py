"""What the checkers of this folder share."""


def address_of(address, port):
    """Return the address that is asked: the endpoint's own, or another port of its host (0: its own)."""
    if not port or address.startswith("unix:"):
        return address
    return f"{address.rpartition(':')[0]}:{port}"


def has_all(data, parts):
    """Say whether ``data`` has all ``parts`` one after another, with anything between them (Envoy's rule)."""
    at = 0
    for part in parts:
        at = data.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True
