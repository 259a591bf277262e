"""The discovery ``file``: endpoints in a YAML or JSON file that is read again when it changes; a cluster watches it.

The file is a list of endpoints (mappings as in the configuration, or addresses), a mapping with the key ``endpoints``,
or Prometheus' file_sd shape (``targets`` and ``labels``). A change is seen by time, size and inode, so writers may
rename. What cannot be used is logged and counted, and the endpoints stay as they are.
"""

import json
import os
import re

import yaml
from zope.interface import implementer

from meshd.api import (
    Boolean, Duration, EndpointSpec, File, IDiscovery, Need, PluginType, Size, config, hookimpl, option,
)

LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
ENDPOINT_LIMIT = 100_000
KEYS = ("address", "weight", "labels", "locality", "priority")
_ADDRESS = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*)|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?\]):([0-9]{1,5})")


@config
class FileOptions:
    """Where the endpoints stand."""

    path: str = option(File(), doc="YAML or JSON file")
    interval_s: float = option(Duration(minimum=0.05), default=1.0, doc="time between two looks at the file")
    hold_empty: bool = option(
        Boolean(), default=True, doc="keep the last endpoints where the file comes to have none"
    )
    max_bytes: int = option(Size(minimum=64), default=16 * 2**20, doc="a longer file is refused")


@implementer(IDiscovery)
class FileDiscovery:
    """Polls one file. ``start`` and ``stop`` bound the polling; ``watch`` reads the file at once."""

    def __init__(self, options, site):
        self._options = options
        self._clock = site.clock
        self._log = site.log
        self._failures = site.metrics.counter(
            "meshd_discovery_failures_total", "endpoint sources that could not be used", ("source",)
        ).cell(options.path)
        self._report = None
        self._stamp = None
        self._endpoints = ()
        self._next = None

    def watch(self, report):
        """Report the endpoints now, where they can be read, and again on each change."""
        self._report = report
        self._poll()

    def stop(self):
        """Look no more."""
        self._report = None
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _poll(self):
        self._next = self._clock.call_later(self._options.interval_s, self._poll)
        try:
            self._look()
        except (OSError, ValueError, yaml.YAMLError) as error:
            self._refuse(" ".join(str(error).split()))

    def _look(self):
        path = self._options.path
        try:
            stamp = _stamp(os.stat(path))
        except OSError as error:
            stamp = ("missing", error.errno)
            if stamp != self._stamp:
                self._stamp = stamp
                raise
            return
        if stamp != self._stamp:
            self._stamp = stamp
            self._take(parse(_read(path, self._options.max_bytes), path))

    def _take(self, endpoints):
        if not endpoints and self._endpoints and self._options.hold_empty:
            raise ValueError("no endpoint is left: the last ones are kept")
        if endpoints != self._endpoints or not endpoints:
            self._endpoints = endpoints
            self._report(endpoints)

    def _refuse(self, cause):
        self._failures.inc()
        self._log.warn("{path}: endpoints not taken: {cause}", path=self._options.path, cause=cause)


def _stamp(status):
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev


def _read(path, limit_bytes):
    with open(path, "rb") as file:
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise ValueError(f"file too long: expected at most {limit_bytes} bytes")
    return data


def parse(data, path=""):
    """Return a tuple of EndpointSpec; raises ValueError or yaml.YAMLError naming what is wrong.

    YAML scalars are all read as text, so that nothing is turned into dates or base-60 numbers.
    """
    is_json = path.endswith(".json") or data.lstrip()[:1] in (b"[", b"{")
    try:
        tree = json.loads(data) if is_json else yaml.load(data, LOADER)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if isinstance(tree, dict):
        tree = tree.get("endpoints")
    if tree is None or tree == "":
        tree = []
    if not isinstance(tree, list):
        raise ValueError("expected a list of endpoints, or a mapping with the key 'endpoints'")
    found = {}
    for number, item in enumerate(tree):
        for endpoint in _endpoints(item, f"[{number}]"):
            if found.setdefault(endpoint.address, endpoint) is not endpoint:
                raise ValueError(f"[{number}]: address {endpoint.address!r} stands twice")
        if len(found) > ENDPOINT_LIMIT:
            raise ValueError(f"too many endpoints: expected at most {ENDPOINT_LIMIT}")
    return tuple(found.values())


def _endpoints(item, where):
    """Yield the EndpointSpecs of one item of the list."""
    if isinstance(item, str):
        yield EndpointSpec(address=_address(item, where))
    elif isinstance(item, dict) and "targets" in item:
        labels = _labels(item.get("labels", {}), where)
        if not isinstance(item["targets"], list):
            raise ValueError(f"{where}.targets: expected a list of addresses")
        for place, target in enumerate(item["targets"]):
            yield EndpointSpec(address=_address(target, f"{where}.targets[{place}]"), labels=labels)
    elif isinstance(item, dict):
        yield _endpoint(item, where)
    else:
        raise ValueError(f"{where}: expected an address or a mapping, got {item!r:.60}")


def _endpoint(item, where):
    for key in item:
        if key not in KEYS:
            raise ValueError(f"{where}.{key}: unknown key: expected one of {', '.join(KEYS)}")
    locality = item.get("locality", "")
    if not isinstance(locality, str):
        raise ValueError(f"{where}.locality: expected text, got {locality!r:.60}")
    return EndpointSpec(
        address=_address(item.get("address"), f"{where}.address"),
        weight=_number(item.get("weight", 1), 1, 1_000_000, f"{where}.weight"),
        labels=_labels(item.get("labels", {}), where),
        locality=locality,
        priority=_number(item.get("priority", 0), 0, 128, f"{where}.priority"),
    )


def _address(text, where):
    if isinstance(text, str):
        if text.startswith("unix:") and len(text) > 5 and "\0" not in text:
            return text
        found = _ADDRESS.fullmatch(text)
        if found is not None and 1 <= int(found.group(1)) <= 65535:
            return text
    raise ValueError(f"{where}: expected HOST:PORT or unix:PATH, got {text!r:.60}")


def _number(value, minimum, maximum, where):
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise ValueError(f"{where}: expected a whole number, got {value!r:.60}")
    if not minimum <= int(text) <= maximum:
        raise ValueError(f"{where}: expected {minimum} to {maximum}, got {text}")
    return int(text)


def _labels(labels, where):
    if not isinstance(labels, dict) or not all(isinstance(part, str) for pair in labels.items() for part in pair):
        raise ValueError(f"{where}.labels: expected a mapping of text to text")
    return tuple(labels.items())


def references(config):
    """Yield the file."""
    yield Need("file", config.path, "path")


def build(config, site):
    """Return a FileDiscovery."""
    return FileDiscovery(config, site)


@hookimpl
def meshd_plugins():
    """Offer the discovery."""
    return [
        PluginType(
            kind="discovery", name="file", config=FileOptions, build=build, references=references,
            doc="Endpoints of a file that is watched.",
        )
    ]
