"""The stable codes of configuration faults, one sentence each; rendered, documented and searched for by users."""

import attrs

from meshd.document.fault import ERROR, INFO, WARNING


@attrs.frozen(kw_only=True)
class Code:
    """What a code means, how severe it is as a rule, and how its faults look.

    ``context`` source lines are shown above; ``is_in_path`` writes "... in PATH", ``has_path`` "PATH: ...";
    ``has_source`` shows the source line.
    """

    text: str
    severity: str = ERROR
    context: int = 0
    is_in_path: bool = False
    has_path: bool = True
    has_source: bool = True


def _code(text: str, **looks) -> Code:
    return Code(text=text, **looks)


def _finding(text: str, severity: str = WARNING) -> Code:
    return Code(text=text, severity=severity, has_path=False)


CODES = {
    "MSH0001": _code("a tab stands where YAML wants spaces"),
    "MSH0002": _code("the text is not YAML"),
    "MSH0003": _code("a key is given twice in one mapping", has_source=False),
    "MSH0004": _code("a file or folder is missing or cannot be read"),
    "MSH0005": _code("a file or folder holds no configuration; an empty file never means defaults"),
    "MSH0006": _code("a file is larger than 16 MiB"),
    "MSH0007": _code("the text is not UTF-8, or holds a control character"),
    "MSH0008": _code("a file holds more than one YAML document"),
    "MSH0009": _code("an anchor or alias is used beyond its bounds, or a merge key (<<) is used"),
    "MSH0010": _code("values are nested deeper than 64 levels, or there are more than 2,000,000 of them"),
    "MSH0011": _code("a key is not text"),
    "MSH0012": _code("a YAML tag (!something) is used"),
    "MSH0013": _code("no configuration dialect knows this document"),
    "MSH0014": _code("a section is given in two files"),
    "MSH0101": _code("a value has the wrong type"),
    "MSH0102": _code("a number, length or time is out of its range"),
    "MSH0103": _code("a required key is missing"),
    "MSH0104": _code("a key is not known here", context=2, is_in_path=True),
    "MSH0105": _code("a word is not one of the choices"),
    "MSH0106": _code("a value is not written in the right form"),
    "MSH0107": _code("an address is not HOST:PORT, [V6]:PORT or unix:PATH"),
    "MSH0108": _code("a regular expression cannot be parsed, or is too large"),
    "MSH0109": _code("a header name or value holds a character that HTTP forbids"),
    "MSH0110": _code("a file that the configuration names does not exist or cannot be read"),
    "MSH0111": _code("two items of a list have the same name"),
    "MSH0112": _code("a list, mapping or text is too short or too long"),
    "MSH0113": _code("a value breaks a rule of its section"),
    "MSH0114": _code("no installed plugin has this type"),
    "MSH0115": _code("a plugin is not written as TYPE or {TYPE: CONFIG}"),
    "MSH0116": _code("a word or number is read differently by different YAML readers; it must be quoted or rewritten"),
    "MSH0117": _code("a plugin's own check of its configuration failed unexpectedly"),
    "MSH0118": _code("a field is accepted, and does nothing yet", severity=WARNING),
    "MSH0120": _code("a certificate, key, authority or revocation list cannot be used"),
    "MSH0121": _code("a certificate or revocation list has expired, or is not valid yet", severity=WARNING),
    "MSH0122": _code("a key may be read by everybody on this machine", severity=WARNING),
    "MSH0123": _code("several groups cannot be chosen here: OpenSSL's own list is offered", severity=WARNING),
    "MSH0124": _code("a key has no effect where it stands", severity=WARNING),
    "MSH0125": _code("a protocol is offered over TLS that is not spoken there", severity=WARNING),
    "MSH0201": _code("something is referred to that is not configured"),
    "MSH0202": _code("a filter chain does not end in one terminal filter"),
    "MSH0210": _code("a port is already taken by another listener or the admin API"),
    "MSH0220": _code("isolation, percent or canary_of stands where it has no meaning, or shares do not add up"),
    "MSH0301": _code("two documents have the same kind, namespace and name"),
    "MSH0302": _code("a document's group or kind is not known"),
    "MSH0303": _code("a document's version is not known"),
    "MSH0320": _code("a document asks for TLS of the mesh, and this proxy has no certificate of it (node.identity)"),
    "MSH0304": _code("a document is recognised and has nothing to say to a proxy", severity=INFO),
    "MSH0311": _code("host * without gateways, which Istio refuses, is bound to the mesh and to every VirtualGateway",
                     severity=WARNING),
    "MSH0312": _code("kind VirtualGateway, which Istio does not know, is read as Gateway", severity=WARNING),
    "MSH0313": _code("a document of security cannot be enforced yet, so the configuration is refused"),
    "MSH0330": _code("a Gateway or one of its listeners is not served as it stands (Gateway API)", severity=WARNING),
    "MSH0331": _code("a route is not taken by a parent that it names (Gateway API)", severity=WARNING),
    "MSH0332": _code("something that a Gateway API document refers to is not there or not allowed", severity=WARNING),
    "MSH0401": _finding("outlier detection can never eject: the share that may be ejected is less than one endpoint"),
    "MSH0402": _finding("locality balancing does nothing, for there is no outlier detection"),
    "MSH0403": _finding("the retries of a route cannot all be made within its timeout"),
    "MSH0404": _finding("a fault has no percentage, or 0: nothing happens"),
    "MSH0405": _finding("a path prefix does not end at a segment: /foo also takes /foobar", INFO),
    "MSH0406": _finding("a share of weight 0 gets nothing"),
    "MSH0407": _finding("settings of a port put aside what the destination's level says"),
    "MSH0408": _finding("a DestinationRule is hidden by another one"),
    "MSH0409": _finding("a DestinationRule of the same host and namespace adds only its new subsets"),
    "MSH0410": _finding("a host is a short name, and there is no Kubernetes to say what it is short for", INFO),
    "MSH0411": _finding("Envoy's own configuration is not used; there is a native setting for it"),
    "MSH0412": _finding("a WebAssembly plugin is not run; a filter in Python can do it"),
    "MSH0413": _finding("VirtualServices of one host are merged at a gateway, in a stated order", INFO),
    "MSH0414": _finding("a share of healthy endpoints that ejections never come down to", INFO),
    "MSH0415": _finding("warm-up has no effect with this balancer"),
    "MSH0416": _finding("localities have no effect beside consistent hashing"),
    "MSH0417": _finding("a fault's delay is no part of the timeout of its rule", INFO),
    "MSH0418": _finding("requests are mirrored to where they go anyway"),
    "MSH0299": _code("there are more faults than are shown"),
}

DOCUMENTATION = "https://meshd.readthedocs.io/e/"
