"""Rules by path, field, query, method and their opposites, as the reference of VirtualService shows them."""

import pytest



@pytest.mark.parametrize("path, headers, version", [
    ("/any", {"x-canary": "true"}, "v3"), ("/any", {"x-canary": "True"}, "v1"),
    ("/reviews/1?version=v3", {}, "v3"), ("/reviews/1?version=v33", {}, "v1"), ("/other?version=v3", {}, "v1"),
    ("/any", {"user-agent": "an iPhone, really"}, "v2"),
    ("/any", {"user-agent": "an iPhone, really", "x-desktop": "1"}, "v1"),
    ("/any", {}, "v1"),
])
def test_the_first_rule_that_matches_is_taken(edge, path, headers, version):
    assert edge.get(path, headers, host="matching.test")[2]["version"] == version


@pytest.mark.parametrize("method, path, service", [
    ("POST", "/write", "ratings"), ("PUT", "/WRITE", "ratings"), ("GET", "/write", "reviews"),
    ("POST", "/write/x", "reviews"),
])
def test_method_and_path_without_case(edge, method, path, service):
    assert edge.get(path, method=method, host="matching.test")[2]["service"] == service


def test_an_empty_parameter_is_answered_from_here(edge):
    status, _, body = edge.get("/any?debug", host="matching.test")
    assert (status, body) == (418, b"100 % teapot\n")
    assert edge.get("/any?debug=1", host="matching.test")[0] == 200
