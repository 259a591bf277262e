"""What ``--check`` looks at in the files of TLS: are they there, in time, kept well, do they belong together?"""

import os
import ssl
import stat
import time
from collections.abc import Iterator
from typing import Any

from meshd.document.code import CODES
from meshd.document.context import Context
from meshd.document.value import missing_hint
from meshd.model.snapshot import Secrets, Snapshot
from meshd.model.tls import Certificate, DownstreamTls, UpstreamTls, Validation
from meshd.tls import groups, material
from meshd.tls.context import unknown_ciphers
from meshd.tls.material import BadSecret

SECTIONS = (Certificate, Validation)
FACTS = ("certificate_file", "key_file", "secret")
AUTHORITIES = ("ca_file", "crl_file", "secret")


def check_certificates(context: Context, now_s: float) -> None:
    """Add the faults of all files of TLS; ``now_s`` is the time of day in epoch seconds."""
    _warn_of_groups(context)
    _warn_of_ciphers(context)
    seen = [one for one in context.seen if one.cls in SECTIONS]
    if not seen:
        return
    context.looks += 1
    secrets = next((one.values["secrets"] for one in context.seen
                    if one.cls is Snapshot and "secrets" in one.values), Secrets())
    for one in seen:
        values = {name: one.values.get(name) for name in dict.fromkeys(FACTS + AUTHORITIES)}
        look = _look_at_pair if one.cls is Certificate else _look_at_authorities
        for code, attribute, text, hint in look(_Spec(values), secrets.directory, now_s, context):
            node = one.node.get(attribute) or one.node.get("secret") or one.node
            place = f"{one.path}.{attribute}"
            context.fault(code, node, place, text, CODES[code].severity, hint=hint)


def _warn_of_groups(context: Context) -> None:
    if groups.can_choose_several():
        return
    for one in context.seen:
        if one.cls in (DownstreamTls, UpstreamTls) and len(one.values.get("ecdh_curves", ())) > 1:
            context.fault("MSH0123", one.node.get("ecdh_curves") or one.node, f"{one.path}.ecdh_curves",
                          "this Python can choose one group only: OpenSSL's own list is offered",
                          CODES["MSH0123"].severity, hint="give one, or use a Python that is linked with libssl")


def _warn_of_ciphers(context: Context) -> None:
    for one in context.seen:
        node = one.node.get("cipher_suites") if one.cls in (DownstreamTls, UpstreamTls) else None
        for name in unknown_ciphers(one.values.get("cipher_suites", ())) if node is not None else ():
            context.unsupported(node, f"{one.path}.cipher_suites", f"{name!r}: OpenSSL knows no such cipher of TLS 1.2")


class _Spec:
    """The options of a section that has been read, perhaps not all of it."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)


Rows = Iterator[tuple[str, str, str, str]]


def _look_at_pair(spec: Any, directory: str, now_s: float, context: Context) -> Rows:
    if spec.secret is None and not (spec.certificate_file and spec.key_file):
        return
    path, key_path = material.pair_paths(spec, directory)
    places = ("secret", "secret") if spec.secret is not None else ("certificate_file", "key_file")
    missing = [_missing(place, file, context) for place, file in zip(places, (path, key_path), strict=True)
               if not os.access(file, os.R_OK)]
    yield from missing
    if missing:
        return
    try:
        chain, found = material.read_certificates(path, places[0])
        material.load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), path, chain, key_path, material.read(key_path))
    except BadSecret as error:
        yield "MSH0120", places[error.attribute == "key_file"], str(error), ""
        return
    yield from _times(path, found[:1], places[0], now_s)
    if stat.S_IMODE(os.stat(key_path).st_mode) & stat.S_IROTH:
        yield "MSH0122", places[1], f"{key_path}: everybody may read this key", f"chmod 600 {key_path}"


def _look_at_authorities(spec: Any, directory: str, now_s: float, context: Context) -> Rows:
    path, lists = material.authority_paths(spec, directory)
    places = ("secret", "secret") if spec.secret is not None else ("ca_file", "crl_file")
    missing = [_missing(place, file, context) for place, file in zip(places, (path, lists), strict=True)
               if file is not None and not os.access(file, os.R_OK)]
    yield from missing
    if missing:
        return
    try:
        found = material.read_certificates(path, "ca_file")[1] if path is not None else []
        if lists is not None:
            material.load_lists(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), lists, True)
            yield from _overdue(lists, places[1], now_s)
    except BadSecret as error:
        yield "MSH0120", places[error.attribute == "crl_file"], str(error), ""
        return
    yield from _times(path, found, places[0], now_s)


def _missing(place: str, path: str, context: Context) -> tuple[str, str, str, str]:
    return "MSH0110", place, f"no readable file {path!r}", missing_hint(path, context.guess)


def _times(path: Any, found: list, place: str, now_s: float) -> Rows:
    for one in found:
        what = f"{path}: {one.subject or one.names}"
        if one.not_after_s < now_s:
            yield "MSH0121", place, f"{what} has expired at {_day(one.not_after_s)}", "renew it"
        elif one.not_before_s > now_s:
            yield "MSH0121", place, f"{what} is not valid before {_day(one.not_before_s)}", "is the clock right?"


def _overdue(path: str, place: str, now_s: float) -> Rows:
    for issuer, next_s in material.read_lists(path)[1]:
        if next_s and next_s < now_s:
            yield ("MSH0121", place, f"{path}: the revocation list of {issuer} has expired at {_day(next_s)}: whoever "
                   "shows a certificate of that authority is refused", "renew it")


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

