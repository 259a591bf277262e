"""Rules that no request reaches (IST0130) and matches that earlier ones cover (IST0131), of VirtualServices."""

from collections import defaultdict

from meshd.api import Related
from meshd_plugins.istio.analysis.cover import includes, includes_l4
from meshd_plugins.istio.analysis.report import item, start

MAX_MATCHES = 500
"""Matches of one list of rules that are compared with one another; beyond that only equal ones are found."""


def analyze(report):
    """Look at the rules of every VirtualService, list by list."""
    for resource in report.mesh.of("VirtualService"):
        spec = resource.spec
        _rules(report, resource, "http", spec.http, includes)
        _rules(report, resource, "tls", spec.tls, includes_l4)
        _rules(report, resource, "tcp", spec.tcp, includes_l4)


def _rules(report, resource, section, rules, covers):
    everything = None
    seen = Seen(covers)
    for number, rule in enumerate(rules):
        path = f"spec.{section}[{number}]"
        if everything is not None:
            why = f"spec.{section}[{everything[0]}] takes every request"
            _unreachable(report, resource, rule, path, everything, why)
            continue
        if not rule.match:
            if getattr(rule, "delegate", None) is None:
                everything = number, rule
            continue
        found = [seen.covering(match) for match in rule.match]
        if all(found):
            first = found[0]
            why = f"spec.{section}[{first[0]}] takes all that it matches"
            _unreachable(report, resource, rule, path, first, why)
        else:
            for place, one in enumerate(found):
                if one is not None:
                    _ineffective(report, resource, rule, place, section, path, one)
        if getattr(rule, "delegate", None) is None:
            seen.add(number, rule)


def _unreachable(report, resource, rule, path, first, why):
    label = f" {rule.name!r}" if getattr(rule, "name", "") else ""
    report.add("IST0130", resource, start(rule.node), path, f"rule{label} is never reached: {why}",
               hint="never reached",
               related=(Related(start(first[1].node).mark(), "this one comes first"),),
               notes=("rules are tried from the first to the last, and the first that matches is taken",),
               help="put the narrower rule first, or remove this one")


def _ineffective(report, resource, rule, place, section, path, first):
    report.add("IST0131", resource, item(rule, "match", place), f"{path}.match[{place}]",
               f"this match has no effect: spec.{section}[{first[0]}] takes all that it matches", hint="covered",
               related=(Related(start(first[1].node).mark(), "this one comes first"),))


class Seen:
    """The matches of earlier rules; those that have a chance to cover another one are found by its beginning."""

    def __init__(self, covers):
        self._covers = covers
        self._count = 0
        self._equal = {}
        self._by_start = defaultdict(list)

    def add(self, number, rule):
        """Remember the matches of a rule."""
        for match in rule.match:
            self._equal.setdefault(match, (number, rule))
            if self._count < MAX_MATCHES:
                self._count += 1
                self._by_start[_bucket(match)].append((match, (number, rule)))

    def covering(self, match):
        """Return (number, rule) of the first rule that takes all that ``match`` takes, or None."""
        found = self._equal.get(match)
        if found is not None:
            return found
        for bucket in dict.fromkeys((None, _bucket(match))):
            for one, place in self._by_start.get(bucket, ()):
                if self._covers(one, match):
                    return place
        return None


def _bucket(match):
    """Return what two matches must share for one to cover the other: the path's first segment, or None for any."""
    uri = getattr(match, "uri", None)
    text = (uri.exact or uri.prefix) if uri is not None and uri.regex is None else None
    if not text:
        return None if uri is None or uri.regex is None else ("regex", uri.regex)
    end = text.find("/", 1)
    if uri.exact is None and end < 0:
        return None  # a prefix without a whole segment covers others
    return (text[:end] if end > 0 else text).lower()
