"""Delegation: one team holds the host, others the rules under their prefixes."""

import pytest



@pytest.mark.parametrize("path, headers, who", [
    ("/reviews/beta/1", {"x-tester": "me"}, ("reviews", "v3")), ("/reviews/beta/1", {}, ("reviews", "v1")),
    ("/reviews/1", {"x-tester": "me"}, ("reviews", "v1")), ("/", {}, ("productpage", "v1")),
])
def test_the_delegate_s_rules_hold_under_the_root_s_prefix(edge, path, headers, who):
    _, _, said = edge.get(path, headers, host="delegation.test")
    assert (said["service"], said["version"]) == who


@pytest.mark.parametrize("path", ["/ratings/1", "/elsewhere"])
def test_a_rule_that_is_not_under_the_prefix_is_void(edge, path):
    assert edge.get(path, host="delegation.test")[2]["service"] == "productpage"


def test_what_the_delegate_leaves_out_is_the_root_s(edge):
    assert edge.get("/reviews/delay/2000", host="delegation.test")[0] == 504
