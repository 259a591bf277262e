"""Chances, conditions and header control of the filter ``fault``: small functions without state, called by it."""

import ipaddress


def is_drawn(random, numerator, denominator):
    """Say whether one request is chosen: with the probability ``numerator / denominator`` (Envoy's FractionalPercent).

    ``random`` is a ``random.Random``. Nothing is drawn where the answer is certain.
    """
    if numerator >= denominator:
        return True
    return numerator > 0 and random.randrange(denominator) < numerator


def capped(numerator, header):
    """Return the numerator that a percentage field (bytes or None) asks for: at most the configured one (Envoy's)."""
    asked = number(header, 0, 10**9)
    return numerator if asked is None else min(asked, numerator)


def number(value, minimum, maximum):
    """Return a field's whole number in [minimum, maximum], or None where it is not one."""
    if value is None or not value.isdigit() or len(value) > 10:
        return None
    return found if minimum <= (found := int(value)) <= maximum else None


def source_test(networks):
    """Return a callable(address) -> bool: whether a client's address (text) is in one of ``networks`` (texts)."""
    known = [ipaddress.ip_network(text) for text in networks]

    def is_in(address):
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found.version == one.version and found in one for one in known)

    return is_in
