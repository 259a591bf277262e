"""istioctl's message codes that mean the same here, with their severities. Asked by ``report``, SARIF and the docs.

Own codes (MSH04xx) stand in ``meshd.document.code``.
"""

from meshd.api import CODES as OWN
from meshd.api import ERROR, INFO, WARNING, Code


def _code(severity, text):
    return Code(text=text, severity=severity, has_path=False)


CODES = {
    "IST0001": _code(ERROR, "an analyzer failed unexpectedly"),
    "IST0002": _code(WARNING, "a deprecated field is used"),
    "IST0101": _code(ERROR, "something is referred to that does not exist"),
    "IST0107": _code(WARNING, "an annotation stands on a kind that it is not for"),
    "IST0108": _code(WARNING, "an annotation is not known"),
    "IST0109": _code(ERROR, "several VirtualServices of the mesh have the same host"),
    "IST0110": _code(ERROR, "several Sidecars select the same workload"),
    "IST0111": _code(ERROR, "several Sidecars of a namespace have no selector"),
    "IST0112": _code(ERROR, "a route names no port, and its service has several"),
    "IST0118": _code(INFO, "a port's name does not begin with a protocol"),
    "IST0125": _code(WARNING, "an annotation's value is not valid"),
    "IST0127": _code(WARNING, "no workload has the labels of a selector"),
    "IST0128": _code(WARNING, "TLS to a host has no CA of its own"),
    "IST0129": _code(WARNING, "TLS to a port of a host has no CA of its own"),
    "IST0130": _code(WARNING, "a rule of a VirtualService is never reached"),
    "IST0131": _code(INFO, "a match of a VirtualService is covered by an earlier one"),
    "IST0132": _code(WARNING, "a VirtualService's host is not a host of its Gateway"),
    "IST0133": _code(WARNING, "a document says something that has no effect or is likely to be meant otherwise"),
    "IST0134": _code(WARNING, "a TCP port of a ServiceEntry needs an address"),
    "IST0135": _code(INFO, "an annotation is deprecated"),
    "IST0138": _code(WARNING, "several Gateways have the same certificate"),
    "IST0140": _code(WARNING, "subset rules of the mesh have no effect on requests through a gateway"),
    "IST0145": _code(ERROR, "several Gateways have the same selector, port and host"),
    "IST0149": _code(ERROR, "routing by claims of a token, and nothing checks the token"),
    "IST0150": _code(WARNING, "a port of an ExternalName service is named tcp"),
    "IST0151": _code(WARNING, "a relative patch of an EnvoyFilter without a priority"),
    "IST0152": _code(ERROR, "REPLACE of an EnvoyFilter where it is not valid"),
    "IST0153": _code(ERROR, "ADD of an EnvoyFilter where it is ignored"),
    "IST0154": _code(ERROR, "REMOVE of an EnvoyFilter where it is ignored"),
    "IST0155": _code(WARNING, "a relative patch of an EnvoyFilter with a proxyVersion and without a priority"),
    "IST0157": _code(WARNING, "access logging of a Telemetry without a provider"),
    "IST0159": _code(ERROR, "several Telemetry documents select the same workload"),
    "IST0160": _code(ERROR, "several Telemetry documents of a namespace have no selector"),
    "IST0161": _code(ERROR, "a Gateway's credential cannot be used"),
    "IST0166": _code(WARNING, "a selector has no effect on a gateway of the Gateway API"),
    "IST0173": _code(ERROR, "no endpoint has the labels of a subset"),
    "IST0174": _code(WARNING, "a DestinationRule's host is no known service"),
    "IST0177": _code(WARNING, "ServiceEntries give a port of one host different protocols"),
}


def severity_of(code):
    """Return the severity that findings of a code have as a rule."""
    return (CODES.get(code) or OWN[code]).severity
