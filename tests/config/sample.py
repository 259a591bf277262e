"""A registry of a few plugin types of the tests' own, configurations written to files, and what came of them."""

import os
import tempfile
import textwrap
from unittest import TestCase

from meshd.api import (
    Anything, Boolean, Duration, File, HeaderName, HeaderValue, Integer, ListOf, MapOf, Need, Nested, Number,
    PluginOf, PluginType, Reference, Regex, Text, config, option,
)
from meshd.config.load import load
from meshd.document.context import Context
from meshd.document.fault import Faults
from meshd.document.tree import parse
from meshd.document.value import anything
from meshd.errors import ConfigurationError
from meshd.registry import Registry
from meshd_plugins.native import build as build_native


@config
class Match:
    "What a request must be like."
    prefix: str | None = option(Text(), default=None, doc="path prefix")
    regex: str | None = option(Regex(), default=None, doc="path expression")
    headers: tuple = option(MapOf(value=HeaderValue(), key=HeaderName()), default=(), doc="headers")

    def check(self):
        if self.prefix is None and self.regex is None:
            yield "prefix", "expected prefix or regex"


@config
class Rule:
    "One rule."
    match: Match = option(Nested(Match), doc="which requests")
    cluster: str = option(Reference("cluster"), doc="where to")
    timeout_s: float = option(Duration(maximum=60), default=15.0, doc="for the answer")
    share: float = option(Number(maximum=1), default=1.0, doc="share of the requests")
    retry: object = option(PluginOf(kind="retry_policy"), default=None, doc="retries")


@config
class Gate:
    "A terminal filter with rules."
    rules: tuple = option(ListOf(item=Nested(Rule), minimum=1), doc="the rules")


@config
class Tag:
    "A filter with a secret and free data."
    secret: str = option(Text(secret=True, minimum=4), default="abcd", doc="a secret")
    shadow: str = option(Text(), default="", doc="another cluster")
    after: str = option(Text(), default="", doc="another filter of the chain")
    key_file: str | None = option(File(), default=None, doc="a file")
    data: object = option(Anything(), default=None, doc="anything")
    loud: bool = option(Boolean(), default=False, doc="a switch")
    count: int = option(Integer(maximum=10), default=1, doc="a number")


def needs(tag):
    if tag.shadow:
        yield Need("cluster", tag.shadow, "shadow")
    if tag.after:
        yield Need("filter", tag.after, "after")
    if tag.key_file:
        yield Need("file", tag.key_file, "key_file")


def make_registry(settings=None) -> Registry:
    return Registry.of(
        PluginType(kind="config_dialect", name="native", build=build_native),
        PluginType(kind="http_filter", name="gate", build=lambda *_: None, config=Gate, terminal=True, doc="Ends."),
        PluginType(kind="http_filter", name="tag", build=lambda *_: None, config=Tag, references=needs, doc="Tags."),
        PluginType(kind="http_filter", name="plain", build=lambda *_: None, doc="Takes nothing."),
        PluginType(kind="retry_policy", name="again", build=lambda *_: None, doc="Retries."),
    )


def plain(text: str):
    """Return YAML text as plain Python, by meshd's own reading of words."""
    faults = Faults()
    return anything(Anything(), parse("plain.yaml", text.encode(), faults), Context(faults=faults), "")


GOOD = """\
listeners:
  - name: public
    address: 127.0.0.1:8080
    filters:
      - gate:
          rules:
            - match: {prefix: /}
              cluster: users
clusters:
  - name: users
    endpoints: [{address: "10.0.0.1:80"}]
"""


class ConfigTestCase(TestCase):
    """Writes files into a folder of its own; ``faults(text)`` and ``good(text)`` load them."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name
        self.registry = make_registry()

    def file(self, text: str, name: str = "mesh.yaml") -> str:
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as stream:
            stream.write(textwrap.dedent(text))
        return path

    def good(self, *texts: str, **options):
        return load([self.file(text, f"{place}.yaml") for place, text in enumerate(texts)], self.registry, **options)

    def faults(self, *texts: str) -> tuple:
        return self.faults_of([self.file(text, f"{place}.yaml") for place, text in enumerate(texts)])

    def faults_of(self, paths: list[str]) -> tuple:
        with self.assertRaises(ConfigurationError) as caught:
            load(paths, self.registry)
        self.assertTrue(caught.exception.faults)
        return caught.exception.faults

    def seen(self, *texts: str) -> list[str]:
        """Return the faults as ``CODE line:column path``."""
        return [f"{one.code} {one.mark.line}:{one.mark.column} {one.path}" for one in self.faults(*texts)]
