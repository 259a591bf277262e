"""Finds the virtual host of an authority; the router asks it once for each request.

Order (Envoy's): exact, then the longest suffix wildcard (``*.foo.com``), then the longest prefix wildcard
(``foo.*``), then ``*``. Each step tries the authority as it came, with its port, and then without the port.
"""

import re

_DOMAIN = re.compile(r"\*|(?:\*[.-])?(?:[A-Za-z0-9_.~-]+|\[[0-9A-Fa-f:.]+\])(?:[.-]\*)?(?::[0-9]{1,5})?")
KNOWN_LIMIT = 4096
KNOWN_LENGTH_BYTES = 255


def domain_fault(domain):
    """Return what is wrong with a domain, or ''."""
    if _DOMAIN.fullmatch(domain) is None or domain.count("*") > 1:
        return f"expected a host name, *.suffix, prefix.* or *, got {domain!r}"
    if "*" in domain and domain != "*" and domain[0] != "*" and not domain.endswith("*"):
        return f"expected a prefix wildcard without a port, got {domain!r}"
    return ""


def without_port(authority):
    """Return an authority (bytes) less its port."""
    colon = authority.rfind(b":")
    return authority[:colon] if colon >= 0 and authority.find(b"]", colon) < 0 else authority


class Domains:
    """A table of domains (str) to anything; look-ups are by lower-case authority (bytes).

    The answers for up to 4096 authorities are remembered, so the usual look-up is one dict access.
    """

    __slots__ = ("exact", "suffixes", "prefixes", "default", "known")

    def __init__(self):
        self.exact = {}
        self.suffixes = []
        self.prefixes = []
        self.default = None
        self.known = {}

    def add(self, domain, value):
        """Enter one domain."""
        name = domain.lower().encode()
        if name == b"*":
            self.default = value
        elif name.startswith(b"*"):
            _enter(self.suffixes, name[1:], value)
        elif name.endswith(b"*"):
            _enter(self.prefixes, name[:-1], value)
        else:
            self.exact[name] = value

    def find(self, authority):
        """Return the value for an authority, or None."""
        try:
            return self.known[authority]
        except KeyError:
            found = self.matched(authority)[1]
            if len(self.known) < KNOWN_LIMIT and len(authority) <= KNOWN_LENGTH_BYTES:
                self.known[authority] = found
            return found

    def matched(self, authority):
        """Return (the domain that an authority matches, its value), or (None, None)."""
        bare = without_port(authority)
        forms = (authority,) if bare == authority else (authority, bare)
        for step in (self._exact, self._suffix, self._prefix):
            for form in forms:
                domain, found = step(form)
                if found is not None:
                    return domain.decode(), found
        return (None, None) if self.default is None else ("*", self.default)

    def _exact(self, host):
        return host, self.exact.get(host)

    def _suffix(self, host):
        for length, values in self.suffixes:
            if len(host) > length and (found := values.get(host[-length:])) is not None:
                return b"*" + host[-length:], found
        return None, None

    def _prefix(self, host):
        for length, values in self.prefixes:
            if len(host) > length and (found := values.get(host[:length])) is not None:
                return host[:length] + b"*", found
        return None, None


def _enter(groups, text, value):
    """Put ``text`` into the dict of its length; the longest lengths stand first."""
    for length, values in groups:
        if length == len(text):
            values[text] = value
            return
    groups.append((len(text), {text: value}))
    groups.sort(key=lambda group: -group[0])
