"""Redirects, rewrites and edits of fields, as the reference of VirtualService shows them."""

import pytest



@pytest.mark.parametrize("path, status, location", [
    ("/v1/getRatings?a=b", 302, "http://new.test/v1/ratings?a=b"),
    ("/moved/x/y", 301, "https://rewrite.test/to/x/y"),
    ("/port/x", 301, "https://new.test:8443/port/x"),
])
def test_redirects(edge, path, status, location):
    found, headers, _ = edge.get(path, host="rewrite.test")
    assert (found, headers["location"]) == (status, location)


@pytest.mark.parametrize("path, sent", [
    ("/ratings/7?x=1", "/v1/bookRatings/7?x=1"), ("/exact?x", "/whole?x"), ("/service/foo/a/b", "/a/b/of/foo"),
])
def test_paths_are_rewritten_and_the_old_one_goes_along(edge, path, sent):
    _, _, said = edge.get(path, host="rewrite.test")
    assert (said["path"], said["headers"]["x-envoy-original-path"]) == (sent, path)


def test_the_authority_is_rewritten(edge):
    assert edge.get("/ratings/7", host="rewrite.test")[2]["headers"]["host"] == "ratings.internal"


def test_fields_are_edited_on_both_ways(edge):
    _, headers, said = edge.get("/edits", {"x-set": "old", "x-add": "one", "x-gone": "1"}, host="rewrite.test")
    assert [said["headers"].get(name) for name in ("x-set", "host", "x-gone")] == ["new", "edited.test", None]
    assert [headers.get(name) for name in ("x-from", "x-version", "x-more")] == ["gateway", None, "destination"]
