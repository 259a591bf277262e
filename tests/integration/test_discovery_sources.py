"""Endpoints from registries in the real daemon: HTTP SD, Consul, etcd, Kubernetes.

etcd is a real one. Consul and Kubernetes are scripted by their documentation, unless ``harness/registry.py`` is told of
real ones; what cannot be done to a real one (a restart without its data) is skipped then. Addresses of 192.0.2.0/24 are
nobody's: where traffic flows, the endpoints are our own.
"""

import json
import os
import time

import pytest

from tests.integration.harness.echo import Echo
from tests.integration.harness.loss import Loss
from tests.integration.harness.registry import REGISTRIES
from tests.integration.harness.users import NOBODY, Users, registry_of, scripted
from tests.integration.process import wait_for

GETS = {"rate": 200, "mix": {"get": 3, "fresh": 1}, "websockets": 0, "connections": 8}


@pytest.fixture(params=REGISTRIES)
def registry(request):
    """Yield each registry in turn."""
    made = registry_of(request.param)
    yield made
    made.close()


# What each of them does


def test_endpoints_follow_the_registry(registry):
    registry.set(NOBODY[:2])
    with Users(registry) as users:
        users.has(NOBODY[:2], 1.0)  # the start has waited for them
        for addresses in (NOBODY[:3], [*NOBODY[:2], NOBODY[4]], NOBODY[:2], NOBODY[:8]):
            registry.set(addresses)
            users.has(addresses)
        wait_for(lambda: users.stale() == 0, "a good answer")


def test_labels_weight_and_locality_arrive(registry):
    registry.set(NOBODY[:1])
    with Users(registry) as users:
        users.has(NOBODY[:1])
        found = users.endpoints()[NOBODY[0]]
        if registry.kind == "kubernetes":
            assert found["locality"] == "/zone-a"
        else:
            assert found["labels"]["from"] == registry.kind
        if registry.kind == "consul":
            assert (found["labels"]["blue"], found["weight"]) == ("true", 2)


def test_the_last_endpoints_are_kept_while_it_is_down_and_a_start_does_not_wait_for_ever(registry):
    scripted(registry)
    registry.set(NOBODY[:3])
    with Users(registry) as users:
        users.has(NOBODY[:3])
        registry.stop()
        users.becomes(1)
        users.keeps(NOBODY[:3], 1.0)
        assert users.daemon.reload()["accepted"]
        users.has(NOBODY[:3], 0.5)
        assert users.daemon.metric("meshd_discovery_age_seconds", cluster_name="users") > 0.5
        assert users.daemon.metric("meshd_discovery_failures_total", cluster_name="users") >= 1
        registry.start()
        registry.set(NOBODY[:3])
        users.becomes(0)
        registry.set(NOBODY[:4])
        users.has(NOBODY[:4])


def test_a_daemon_starts_without_its_registry_and_finds_it_later(registry):
    scripted(registry)
    registry.stop()
    began = time.monotonic()
    with Users(registry, initial_fetch_timeout="500ms") as users:
        assert time.monotonic() - began < 20
        assert users.endpoints() == {}
        registry.start()
        registry.set(NOBODY[:2])
        users.has(NOBODY[:2])


def test_an_empty_answer_is_held_back(registry):
    registry.set(NOBODY[:2])
    with Users(registry, empty_hold="1500ms") as users:
        users.has(NOBODY[:2])
        registry.set([])
        users.becomes(1)
        users.keeps(users.endpoints() if registry.is_real else NOBODY[:2], 1.0)  # a real one may lose them one by one
        users.has([])


@pytest.mark.parametrize("trouble", ("silent", "garbage", "cut", "slow", 500, 429))
@pytest.mark.parametrize("kind", ("http", "consul", "kubernetes"))
def test_bad_answers_change_nothing(kind, trouble):
    registry = REGISTRIES[kind]()
    scripted(registry)
    rest = getattr(registry, "scripted", registry)
    try:
        registry.set(NOBODY[:3])
        with Users(registry, timeout="300ms", **({"wait": "1s"} if kind == "consul" else {})) as users:
            users.has(NOBODY[:3])
            rest.trouble = trouble
            rest.cut()
            users.becomes(1)
            users.keeps(NOBODY[:3], 0.5)
            rest.trouble = None
            users.becomes(0)
            registry.set(NOBODY[:4])
            users.has(NOBODY[:4])
    finally:
        registry.close()


def test_nothing_is_lost_while_it_restarts_and_sends_half_a_list(registry):
    """Fault 30: what is missing is removed after the grace alone."""
    scripted(registry)
    with Echo() as one, Echo() as two, Echo() as three, Echo() as four:
        all_four = [echo.address for echo in (one, two, three, four)]
        registry.set(all_four)
        with Users(registry, empty_hold="3s") as users, Loss(users.daemon.port, **GETS) as load:
            users.has(all_four)
            load.warm()
            if registry.kind == "etcd":
                registry.forgets = True
            registry.stop()
            users.becomes(1)
            registry.start()
            registry.set([])
            users.keeps(all_four, 0.7)
            registry.set(all_four[:2])
            users.keeps(all_four, 1.0)
            registry.set(all_four)
            users.becomes(0)
            users.keeps(all_four, 4.0)
            registry.set(all_four[:2])
            users.keeps(all_four, 2.0)
            users.has(all_four[:2])
            load.stop().assert_nothing_lost()
            assert users.daemon.metric("meshd_reactor_late_total") <= (0 if os.getloadavg()[0] < 2 else 5)


def test_a_reload_keeps_what_was_found(registry):
    registry.set(NOBODY[:2])
    with Users(registry) as users:
        users.has(NOBODY[:2])
        users.daemon.write({**users.configure(debounce="50ms"), "listeners": users.configuration["listeners"]})
        assert users.daemon.reload()["accepted"]
        users.has(NOBODY[:2], 1.0)
        registry.set(NOBODY[:3])
        users.has(NOBODY[:3])


# meshctl


def test_meshctl_shows_what_there_is_and_what_would_be_found(registry):
    registry.set(NOBODY[:2])
    with Users(registry) as users:
        users.has(NOBODY[:2])
        code, text = users.daemon.ctl("discovery", "users", "-o", "json")
        assert code == 0, text
        assert [row["endpoint"]["address"] for row in json.loads(text)["targets"]] == NOBODY[:2]
        code, text = users.daemon.ctl("discovery", "users", "-c", users.daemon.path, "-o", "json")
        assert code == 0, text
        assert [row["endpoint"]["address"] for row in json.loads(text)["targets"]] == NOBODY[:2]
        if not registry.is_real:
            registry.stop()
            code, text = users.daemon.ctl("discovery", "users", "-c", users.daemon.path)
            assert code == 1 and "cluster registry: endpoint" in text, text
