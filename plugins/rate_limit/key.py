"""What has a bucket of its own: the keys of the filter ``rate_limit``."""

import ipaddress
from hashlib import blake2b

MAX_KEY_BYTES = 64
"""Longer keys are kept as a 16 byte digest, so the memory of the table has a bound."""


def key_function(config):
    """Return a callable(exchange) -> a small hashable. Requests without the thing share the key None."""
    if config.key == "client_address":
        return client_key(128 - config.ipv6_prefix)
    if config.key == "header":
        name = config.header.encode()
        return lambda exchange: short(exchange.request.headers.joined(name))
    if config.key == "path_prefix":
        count = config.path_segments + 1
        return lambda exchange: short(b"/".join(exchange.request.path.split(b"/", count)[:count]))
    if config.key == "identity":
        return identity_key
    return lambda exchange: None


def identity_key(exchange):
    """Return the caller's name."""
    identity = exchange.identity
    return None if identity is None else short(identity.name.encode("utf-8", "replace"))


def client_key(host_bits):
    """Return the key function of client addresses; the last ``host_bits`` of an IPv6 address do not count."""

    def key(exchange):
        client = exchange.client
        if ":" not in client:
            return client
        try:
            address = ipaddress.IPv6Address(client.partition("%")[0])
        except ValueError:
            return short(client.encode("utf-8", "replace"))
        return str(address.ipv4_mapped) if address.ipv4_mapped else int(address) >> host_bits

    return key


def short(value):
    """Return ``value``, or its digest where it is long."""
    if value is None or len(value) <= MAX_KEY_BYTES:
        return value
    return blake2b(value, digest_size=16).digest()
