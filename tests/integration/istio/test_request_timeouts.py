"""Istio's task "request timeouts": 504 after the rule's time, attempts included."""

import time

HOST = "timeouts.test"


def test_without_a_time_out_a_slow_answer_is_waited_for(edge):
    assert edge.get("/none/delay/800", host=HOST)[0] == 200


def test_an_answer_that_takes_too_long_is_504(edge):
    began = time.monotonic()
    status, _, body = edge.get("/short/delay/3000", host=HOST)
    assert (status, b"timeout" in body) == (504, True)
    assert 0.2 <= time.monotonic() - began < 2.5
    assert edge.access(path="/short/delay/3000")["flags"] == "UT"


def test_an_answer_in_time_is_passed_on(edge):
    assert edge.get("/short/x", host=HOST)[0] == 200


def test_every_attempt_has_its_own_time(edge):
    assert edge.get("/tries/delay/3000", host=HOST)[0] == 504
    row = edge.access(path="/tries/delay/3000")
    assert ("UT" in row["flags"], int(row["attempts"])) == (True, 3)


def test_the_time_out_includes_all_attempts(edge):
    began = time.monotonic()
    assert edge.get("/both/delay/3000", host=HOST)[0] == 504
    assert 0.4 <= time.monotonic() - began < 2.5
    row = edge.access(path="/both/delay/3000")
    assert row["flags"] == "UT"
    assert 2 <= int(row["attempts"]) <= 5


def test_a_status_that_is_named_is_tried_again(edge, mesh):
    server = mesh.servers["ratings", "v1"]
    before = server.asked
    assert edge.get("/again/status/503", host=HOST)[0] == 503
    assert server.asked - before == 3
    assert int(edge.access(path="/again/status/503")["attempts"]) == 3


def test_another_status_is_not(edge, mesh):
    server = mesh.servers["ratings", "v1"]
    before = server.asked
    assert edge.get("/again/status/500", host=HOST)[0] == 500
    assert server.asked - before == 1
