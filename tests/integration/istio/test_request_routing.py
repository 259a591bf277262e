"""Istio's task "request routing": all requests to one version, and those of one user to another."""

import pytest

from tests.integration.istio.conftest import TASKS

BY_USER = """
  - match:
    - headers: {end-user: {exact: jason}}
    route:
    - destination: {host: reviews, subset: v2}
"""
"""The rule that the task adds, before the one for everybody."""
HOST = "routing.test"


def versions(edge, headers=()):
    """Return which versions answer 12 requests."""
    found = [edge.get("/reviews/7", headers, host=HOST) for _ in range(12)]
    assert {status for status, _, _ in found} == {200}
    return {said["version"] for _, _, said in found}


@pytest.fixture(scope="module")
def by_user(edge):
    """Apply the documents one after the other, as the task does."""
    assert versions(edge, {"end-user": "jason"}) == {"v1"}
    text = (TASKS / "routing.yaml").read_text()
    edge.apply("routing", text.replace("  http:\n", f"  http:{BY_USER}"))
    return edge


def test_without_the_user_all_requests_go_to_version_1(by_user):
    assert versions(by_user) == {"v1"}


def test_one_user_s_requests_go_to_version_2(by_user):
    assert versions(by_user, {"end-user": "jason"}) == {"v2"}


def test_another_user_is_not_this_one(by_user):
    assert versions(by_user, {"end-user": "Jason"}) == {"v1"}


def test_other_hosts_have_no_route(by_user):
    assert by_user.get("/", host="unknown.test")[0] == 404
    assert by_user.access(status=404, flags="NR")["details"] == "route_not_found"
