"""The filter in a real proxy, before a real upstream; by meshd's pytest fixtures."""

import hello_plugin
import pytest
from meshd.testing import NEVER

MESH = """
    listeners:
      - name: public
        address: 127.0.0.1:0
        filters:
          - hello: {greeting: %s}
          - router:
              virtual_hosts:
                - {name: all, domains: ["*"], routes: [{match: {prefix: /}, cluster: api}]}
    clusters:
      - {name: api, endpoints: [{address: "%s"}]}
"""


@pytest.fixture
def proxy(mesh, upstream):
    """A proxy whose upstream answers 503 once, then 200, then not at all."""
    api = upstream([503, "from the upstream", NEVER])
    proxy = mesh(MESH % ("hello", api.address), plugins=[hello_plugin])
    proxy.api = api
    return proxy


def test_greets_without_asking_the_upstream(proxy, assert_metrics):
    with assert_metrics(proxy, {'hello_greetings_total{filter="hello"}': +1}):
        answer = proxy.get("/hello")
    assert (answer.status, answer.body) == (200, b"hello\n")
    assert proxy.api.requests == []


def test_signs_what_the_upstream_says(proxy, client):
    with client(proxy) as one:
        assert one.get("/").status == 503
        answer = one.get("/a", headers={"x-a": "1"})
    assert (answer.body, answer.headers["X-Hello"]) == (b"from the upstream", "1")
    assert proxy.api.requests[1].headers["x-a"] == "1"


def test_another_greeting_takes_effect_with_a_reload(proxy):
    assert proxy.reload(MESH % ("moin", proxy.api.address)).is_accepted
    assert proxy.get("/hello").text == "moin\n"


def test_a_bad_greeting_is_refused_and_nothing_changes(proxy):
    outcome = proxy.reload(MESH % ("[]", proxy.api.address))
    assert [fault.code for fault in outcome.faults] == ["MSH0101"]
    assert proxy.get("/hello").text == "hello\n"
