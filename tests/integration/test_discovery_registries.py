"""What is particular to Consul, etcd and Kubernetes, in the real daemon; ``test_discovery_sources`` has the rest."""

import time

import pytest

from tests.integration.harness.registry import ConsulRegistry, KubernetesRegistry
from tests.integration.harness.rest import call
from tests.integration.harness.users import NOBODY, Users, registry_of, scripted
from tests.integration.process import wait_for


@pytest.fixture
def consul():
    """Yield Consul, scripted."""
    made = ConsulRegistry()
    scripted(made)
    yield made
    made.close()


@pytest.fixture
def kubernetes():
    """Yield Kubernetes, scripted."""
    made = KubernetesRegistry()
    scripted(made)
    yield made
    made.close()


@pytest.fixture
def etcd():
    """Yield etcd."""
    made = registry_of("etcd")
    yield made
    made.close()


# Consul


def test_consul_health_decides(consul):
    consul.set(NOBODY[:3])
    with Users(consul, wait="5s") as users:
        users.has(NOBODY[:3])
        key = next(iter(consul.scripted.services))
        consul.scripted.check(key, "warning")
        users.has(NOBODY[1:3])
        consul.scripted.check(key, "passing")
        users.has(NOBODY[:3])


def test_consul_is_asked_by_queries_that_wait(consul):
    consul.set(NOBODY[:2])
    with Users(consul, wait="1s", datacenter="dc1", tags=["blue"]) as users:
        users.has(NOBODY[:2])
        begin = len(consul.scripted.asked)
        users.keeps(NOBODY[:2], 3.0)
        asked = [one for one in consul.scripted.asked[begin:] if one.method == "GET"]
        assert 1 <= len(asked) <= 4
        assert {(one.query["wait"], one.query["dc"], one.query["tag"], one.query["stale"]) for one in asked} == {
            ("1s", "dc1", "blue", "1")}
        assert users.daemon.metric("meshd_discovery_age_seconds", cluster_name="users") < 2


def test_consul_index_that_goes_backwards_and_zero(consul):
    consul.set(NOBODY[:2])
    with Users(consul, retry_max="10s") as users:
        users.has(NOBODY[:2])
        consul.scripted.set_index(5)
        consul.set(NOBODY[:3])
        users.has(NOBODY[:3])
        consul.scripted.set_index(0)
        begin = len(consul.scripted.asked)
        users.keeps(NOBODY[:3], 1.0)
        assert len(consul.scripted.asked) - begin < 10


def test_consul_without_a_leader_or_with_a_token_that_sees_nothing(consul):
    consul.set(NOBODY[:2])
    with Users(consul, empty_hold="200ms") as users:
        users.has(NOBODY[:2])
        consul.scripted.has_leader = False
        consul.scripted.set_index(500)
        users.becomes(1)
        consul.scripted.has_leader, consul.scripted.is_filtered = True, True
        consul.scripted.set_index(501)
        users.keeps(NOBODY[:2], 1.0)
        users.daemon.logged("the token may see nothing of it")
        consul.scripted.is_filtered = False
        users.becomes(0)


def test_consul_token_is_sent_and_not_logged(consul):
    consul.set(NOBODY[:1])
    with Users(consul, environment={"TOKEN_OF_TEST": "s3cret-token"}, token_env="TOKEN_OF_TEST") as users:
        users.has(NOBODY[:1])
        assert consul.scripted.asked[-1].headers["x-consul-token"] == "s3cret-token"
        consul.scripted.trouble = 403
        consul.scripted.cut()
        users.becomes(1)
        pages = [users.daemon.ask(page)[1].decode() for page in ("/clusters", "/config_dump", "/metrics", "/plugins")]
        assert "s3cret-token" not in users.daemon.log() + "".join(pages)
        consul.scripted.trouble = None


# etcd, a real one


def test_etcd_that_is_killed_is_watched_again(etcd):
    etcd.set(NOBODY[:3])
    with Users(etcd) as users:
        users.has(NOBODY[:3])
        for before, after in ((3, 4), (4, 3)):
            etcd.stop()
            users.becomes(1)
            users.keeps(NOBODY[:before], 0.3)
            etcd.start()
            users.becomes(0)
            etcd.set(NOBODY[:after])
            users.has(NOBODY[:after])


def test_etcd_lease_that_expires_takes_its_endpoint_along(etcd):
    etcd.set(NOBODY[:2])
    with Users(etcd) as users:
        users.has(NOBODY[:2])
        lease = etcd.call("lease/grant", TTL="1")["ID"]
        etcd.call("kv/put", key=f"{etcd.prefix}leased", value=f'"{NOBODY[5]}"', lease=lease)
        users.has([*NOBODY[:2], NOBODY[5]])
        users.has(NOBODY[:2])


def test_etcd_compaction_is_no_failure(etcd):
    etcd.set(NOBODY[:2])
    with Users(etcd) as users:
        users.has(NOBODY[:2])
        before = users.daemon.metric("meshd_discovery_failures_total", cluster_name="users")
        for count in (3, 2, 3, 4):
            etcd.set(NOBODY[:count])
        header = etcd.call("kv/range", key="x")["header"]
        etcd.call("kv/compaction", revision=header["revision"])
        users.has(NOBODY[:4])
        etcd.set(NOBODY[:5])
        users.has(NOBODY[:5])
        assert users.daemon.metric("meshd_discovery_failures_total", cluster_name="users") == before


def test_etcd_values_that_cannot_be_read_cost_only_themselves(etcd):
    etcd.set(NOBODY[:2])
    with Users(etcd) as users:
        users.has(NOBODY[:2])
        etcd.call("kv/put", key=f"{etcd.prefix}broken", value="{")
        users.daemon.logged("/meshd/users/broken")
        etcd.set(NOBODY[:3])
        users.has(NOBODY[:3])
        users.becomes(0)


def test_etcd_with_users_and_passwords(etcd):
    etcd.set(NOBODY[:2])
    for path, message in (
        ("auth/user/add", {"name": "root", "password": "r00t"}),
        ("auth/role/add", {"name": "root"}),
        ("auth/user/grant", {"user": "root", "role": "root"}),
        ("auth/user/add", {"name": "meshd", "password": "s3cret-password"}),
        ("auth/role/add", {"name": "reader"}),
        ("auth/role/grant", {"name": "reader", "perm": {
            "permType": "READ", "key": "L21lc2hkLw==", "range_end": "L21lc2hkMA=="}}),
        ("auth/user/grant", {"user": "meshd", "role": "reader"}),
        ("auth/enable", {}),
    ):
        call_plain(etcd, path, message)
    environment = {"PASSWORD_OF_TEST": "s3cret-password"}
    with Users(etcd, environment, user="meshd", password_env="PASSWORD_OF_TEST") as users:
        users.has(NOBODY[:2], 2.0)
        token = call_plain(etcd, "auth/authenticate", {"name": "root", "password": "r00t"})["token"]
        etcd.call("kv/put", {"authorization": token}, key=f"{etcd.prefix}new", value=f'"{NOBODY[2]}"')
        users.has(NOBODY[:3])
        assert "s3cret-password" not in users.daemon.log()
    with Users(etcd, {"PASSWORD_OF_TEST": "wrong"}, user="meshd", password_env="PASSWORD_OF_TEST") as users:
        users.daemon.logged("authentication failed")
        assert users.endpoints() == {}


def call_plain(etcd, path, message):
    """Post a message as it is."""
    return call("POST", f"http://{etcd.address}/v3/{path}", message)


# Kubernetes


def test_kubernetes_versions_that_are_gone_are_listed_again(kubernetes):
    kubernetes.set(NOBODY[:2])
    with Users(kubernetes) as users:
        users.has(NOBODY[:2])
        before = users.daemon.metric("meshd_discovery_failures_total", cluster_name="users")
        kubernetes.scripted.forget()
        kubernetes.set(NOBODY[:3])
        users.has(NOBODY[:3])
        assert users.daemon.metric("meshd_discovery_failures_total", cluster_name="users") == before


def test_kubernetes_lists_come_in_pieces_and_bookmarks_move_the_version(kubernetes):
    kubernetes.scripted.page = 1
    addresses = [f"192.0.2.1:{port}" for port in (8001, 8002, 8003)]
    kubernetes.set(addresses)
    with Users(kubernetes) as users:
        users.has(addresses)
        watches = [one for one in kubernetes.scripted.asked if one.query.get("watch")]
        assert {one.query["allowWatchBookmarks"] for one in watches} == {"true"}
        assert sum("continue" in one.query for one in kubernetes.scripted.asked) == 2
        wait_for(lambda: users.daemon.metric("meshd_discovery_age_seconds", cluster_name="users") < 0.4, "a bookmark")
        kubernetes.scripted.version += 50  # others' objects
        time.sleep(1.2)
        kubernetes.scripted.oldest = kubernetes.scripted.version
        kubernetes.scripted.cut()
        users.becomes(0)
        kubernetes.set([*addresses, "192.0.2.9:8001"])
        users.has([*addresses, "192.0.2.9:8001"])


def test_kubernetes_endpoints_that_are_not_ready_have_no_load(kubernetes):
    kubernetes.set(NOBODY[:2])
    with Users(kubernetes) as users:
        users.has(NOBODY[:2])
        (collection, name), found = next(
            (key, one) for key, one in kubernetes.scripted.objects.items() if key[0] == "endpointslices")
        endpoints = [dict(one) for one in found["endpoints"]]
        endpoints[0]["conditions"] = {"ready": False, "serving": True, "terminating": True}
        changed = {**found, "endpoints": endpoints}
        with kubernetes.scripted.changed:
            kubernetes.scripted._change("PUT", collection, name, changed)
        users.has(NOBODY[1:2])
