"""A configuration as text, built and asked about, as ``meshctl explain -c`` does."""

import tempfile
import textwrap

from meshd.cli.ctl_explain import Asleep
from meshd.explain.answer import explain
from meshd.explain.asked import asked
from meshd.runtime.site import finish
from tests.pki import with_secrets

CLUSTERS = """
clusters:
  - {name: users, endpoints: [{address: "127.0.0.1:8081", weight: 2}], connect_timeout: 1s}
  - {name: beta, endpoints: [{address: "127.0.0.1:8082"}]}
"""


def built(text):
    """Return the runtime of a configuration file."""
    with tempfile.TemporaryDirectory() as folder:
        asleep = Asleep([str(with_secrets(folder, text))])
    if not asleep.is_valid:
        raise AssertionError(asleep.faults)
    return asleep.runtime


def listener(routes, filters="", http="{}", name="public", address="127.0.0.1:8080", host=""):
    """Return a listener's YAML: ``routes`` and ``filters`` are YAML lists."""
    return (f"listeners:\n- name: {name}\n  address: {address}\n  http: {http}\n  filters:\n"
            + textwrap.indent(textwrap.dedent(filters).strip("\n"), "  ") + "\n  - router:\n      virtual_hosts:\n"
            f"      - name: all\n        domains: ['*']\n        {host}\n        routes:\n"
            + textwrap.indent(textwrap.dedent(routes).strip("\n"), "        ") + "\n")


def answer(runtime, method="GET", url="http://shop.example:8080/", headers=(), bound=None, **more):
    """Return the whole answer."""
    return finish(explain(runtime, asked(method, url, headers, **more), bound))
