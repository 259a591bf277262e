"""How names, hosts and addresses are written: each function returns "" or what is wrong with a text.

The forms are istiod's (pkg/config/validation, pkg/config/labels, pkg/config/host). Asked by ``check`` and ``validate``.
"""

import ipaddress
import re

UNIX = "unix://"
MESH = "mesh"
LONGEST_NAME = 255

_LABEL = "[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?"
_NAME = "(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
LABEL = re.compile(_LABEL)
WILDCARD_LABEL = re.compile(rf"\*|(?:\*-?)?{_LABEL}")
LABEL_KEY = re.compile(rf"(?:({_LABEL}(?:\.{_LABEL})*)/)?({_NAME})")
LABEL_VALUE = re.compile(f"(?:{_NAME})?")

HTTP_PROTOCOLS = frozenset(("http", "http2", "http_proxy", "grpc", "grpc-web"))
TLS_PROTOCOLS = frozenset(("https", "tls"))
TCP_PROTOCOLS = frozenset(("tcp", "mongo", "redis", "mysql")) | TLS_PROTOCOLS
PROTOCOLS = HTTP_PROTOCOLS | TCP_PROTOCOLS | frozenset(("udp",))


def is_label(text):
    """Say whether the text is one label of a DNS name (RFC 1123; upper case is accepted)."""
    return len(text) <= 63 and LABEL.fullmatch(text) is not None


def label_fault(text):
    """A DNS label."""
    return "" if is_label(text) else f"expected a DNS label (letters, digits and -, at most 63), got {text!r}"


def fqdn_fault(text):
    """A DNS name without wildcards; its last label may not be a number."""
    return _length_fault(text) or _labels_fault(text, text)


def _length_fault(text):
    if not text:
        return "expected a domain name, got nothing"
    return f"expected at most {LONGEST_NAME} characters, got {len(text)}" if len(text) > LONGEST_NAME else ""


def _labels_fault(text, whole):
    labels = text.split(".")
    if re.fullmatch("[-+]?[0-9]+", labels[-1]):
        return f"expected a domain name, got {whole!r}: its last label is a number"
    for place, label in enumerate(labels):
        if label == "" and place == len(labels) - 1:
            return ""
        if not is_label(label):
            return f"expected a domain name, got {whole!r}: the label {label!r} is none"
    return ""


def wildcard_fault(text):
    """A DNS name whose first label may be ``*``, ``*-suffix`` or ``*suffix``."""
    fault = _length_fault(text)
    if fault:
        return fault
    first, dot, rest = text.partition(".")
    if len(first) > 63 or not WILDCARD_LABEL.fullmatch(first):
        return f"expected a domain name, got {text!r}: the label {first!r} is none (* may only stand first)"
    return _labels_fault(rest, text) if dot else ""


def sni_fault(text):
    """A DNS name as above, or one that Istio makes for its own east-west traffic (``outbound_.80_._.HOST``)."""
    if not text.startswith("outbound_"):
        return wildcard_fault(text)
    parts = text.split("_")
    if len(parts) >= 4 and re.search("[0-9]", parts[1].strip(".")) and re.search("[a-zA-Z]", parts[3].strip(".")):
        return ""
    return f"expected outbound_.PORT_._.HOST, got {text!r}"


def is_ip(text):
    """Say whether the text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def ip_fault(text):
    """An IP address."""
    return "" if is_ip(text) else f"expected an IP address, got {text!r}"


def subnet_fault(text):
    """An IP address, or one with the length of its prefix."""
    address, slash, bits = text.partition("/")
    if not slash:
        return ip_fault(text)
    form = is_ip(address) and "%" not in address and re.fullmatch("0|[1-9][0-9]{0,2}", bits)
    return "" if form and int(bits) <= (128 if ":" in address else 32) else f"expected ADDRESS/BITS, got {text!r}"


def unix_fault(path):
    """The path of a unix socket, or the name of an abstract one (``@NAME``)."""
    if path.startswith("@") or (path.startswith("/") and not path.endswith("/")):
        return ""
    return f"expected an absolute path of a socket after {UNIX}, got {path!r}"


def bind_fault(bind):
    """An IP address, or ``unix://`` and a path."""
    if bind.startswith(UNIX):
        return unix_fault(bind[len(UNIX):])
    return ip_fault(bind) if bind else ""


def protocol_fault(text):
    """A protocol that Istio knows; nothing means that it is found out."""
    return "" if not text or text.lower() in PROTOCOLS else f"unknown protocol {text!r}, expected {PROTOCOL_WORDS}"


def protocol_of(port):
    """Return a port's protocol in lower case: as given, or as its name begins (``http-web``); "" where neither says."""
    given = port.protocol.lower()
    if given:
        return given
    name = port.name.lower()
    prefix = "grpc-web" if name.startswith("grpc-web") else name.partition("-")[0]
    return prefix if prefix in PROTOCOLS else ""


PROTOCOL_WORDS = "one of HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, TCP, MONGO, REDIS, MYSQL, UDP"


def is_wildcard(host):
    """Say whether the host begins with ``*``."""
    return host.startswith("*")


def overlaps(one, two):
    """Say whether some name is meant by both hosts (``*.com`` and ``a.com``)."""
    if is_wildcard(one) and is_wildcard(two):
        return one[1:].endswith(two[1:]) or two[1:].endswith(one[1:])
    if is_wildcard(one):
        return two.endswith(one[1:])
    return one.endswith(two[1:]) if is_wildcard(two) else one == two


def is_within(one, other):
    """Say whether every name that ``one`` means is meant by ``other``."""
    if is_wildcard(one):
        return is_wildcard(other) and len(one) >= len(other) and one[1:].endswith(other[1:])
    return one.endswith(other[1:]) if is_wildcard(other) else one == other


def slashed_host_fault(host, is_gateway):
    """``namespace/dnsName``, and for gateways also ``dnsName``."""
    namespace, slash, name = host.partition("/")
    if not slash:
        return _part_fault(host, True) if is_gateway else f"expected NAMESPACE/HOST, got {host!r}"
    if not namespace or not name:
        return f"expected NAMESPACE/HOST, got {host!r}"
    plain = namespace if is_gateway else namespace.removeprefix("~")
    if plain not in ("", "*", ".") and not is_label(plain):
        return f"expected a namespace, * or . before the slash, got {namespace!r}"
    return _part_fault(name, is_gateway)


def _part_fault(host, is_gateway):
    fault = wildcard_fault(host)
    if fault and not (is_gateway and is_ip(host)):
        return fault
    if host != "*" and "." not in host:
        return f"expected a full name, got the short name {host!r}"
    if "*" in host and host != "*" and not host.startswith("*."):
        return f"expected * only as the whole first label, got {host!r}"
    return ""


def label_faults(name, pairs):
    """Yield faults of Kubernetes labels; ``name`` is the attribute that holds them (or its place)."""
    place = name if isinstance(name, tuple) else (name,)
    for key, value in pairs:
        found = LABEL_KEY.fullmatch(key)
        if not found or len(found[1] or "") > 253 or len(found[2]) > 63:
            yield (*place, key), f"expected the key of a label, [DNS-NAME/]NAME, got {key!r}"
        elif not LABEL_VALUE.fullmatch(value):
            yield (*place, key), f"expected letters, digits, -, _ and . as a label's value, got {value!r}"


def each(name, values, fault):
    """Yield the faults of the items of a list; ``fault`` is one of the functions above."""
    for place, value in enumerate(values):
        found = fault(value)
        if found:
            yield (name, place), found


def deeper(name, faults):
    """Yield the faults of a section with their places seen from outside it."""
    place = name if isinstance(name, tuple) else (name,)
    for below, message in faults:
        steps = below if isinstance(below, tuple) else () if below is None else (below,)
        yield (*place, *steps), message


def gateway_name_fault(text):
    """``mesh``, the name of a Gateway, or its namespace and name."""
    namespace, slash, name = text.partition("/")
    if not slash:
        return fqdn_fault(text)
    if is_label(namespace) and is_label(name):
        return ""
    return f"expected NAMESPACE/NAME of a Gateway, got {text!r}"
