"""Istio's task "ingress gateways": a Gateway's hosts, a rule's paths, 404 for all else."""

import pytest



@pytest.mark.parametrize("host, path, status", [
    ("pages.example.com", "/status/200", 200),
    ("pages.example.com:8080", "/status/202", 202),
    ("PAGES.example.com", "/status/200", 200),
    ("a.pages.example.com", "/delay/1", 200),
    ("pages.example.com", "/headers", 404),
    ("outside.example.com", "/status/200", 404),
    ("another.example.com", "/status/200", 404),
    ("example.com", "/status/200", 404),
])
def test_only_hosts_and_paths_that_are_exposed_are_answered(edge, host, path, status):
    assert edge.get(path, host=host)[0] == status


def test_a_server_that_wants_tls_sends_there(edge):
    status, headers, _ = edge.get("/any?x=1", host="secure.example.com")
    assert (status, headers["location"]) == (301, "https://secure.example.com/any?x=1")


def test_the_host_that_was_asked_for_goes_on_to_the_service(edge):
    _, _, said = edge.get("/status/200", host="pages.example.com")
    assert (said["service"], said["headers"]["host"]) == ("productpage", "pages.example.com")


def test_the_client_s_address_is_the_connection_s_not_what_it_says(edge):
    _, _, said = edge.get("/status/200", {"x-forwarded-for": "203.0.113.9"}, host="pages.example.com")
    assert said["headers"]["x-forwarded-for"] == "203.0.113.9, 127.0.0.1"
