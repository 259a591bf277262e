"""Rate limits that machines share, in a real Redis: exact over all, within the budget when it fails, and well again."""

import json
import random
import threading
import time

import pytest

from meshd_plugins.rate_limit.resp import Parser
from meshd_plugins.rate_limit.script import SOURCE, take, ttl_ms
from tests.integration.harness.client import ask, timed
from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.harness.program import Program
from tests.integration.harness.redis import Redis, needs_redis
from tests.integration.process import free_port, wait_for

pytestmark = needs_redis
BUDGET_S = 0.02
SLACK_S = 0.8
"""What a loaded machine may add to the budget before an answer is here."""


@pytest.fixture(scope="module")
def upstream():
    """An upstream that answers ok."""
    with Program() as program:
        yield program


@pytest.fixture
def redis():
    """A Redis of the test's own."""
    with Redis() as server:
        yield server


def limited(upstream, redis, *more, store=(), **limit):
    """Return a configuration with a shared limit; ``more`` are further servers."""
    made = one_cluster(upstream.address)
    settings = {"rate": 10, "burst": 20, "bucket": "shared", "headers": True, **limit,
                "store": {"redis": {"cluster": "redis", **dict(store)}}}
    made["listeners"][0]["filters"].insert(0, {"rate_limit": settings})
    endpoints = [{"address": one.address} for one in (redis, *more)]
    made["clusters"].append({"name": "redis", "endpoints": endpoints, "connect_timeout": "1s"})
    return made


def results(daemon):
    """Return {result: requests} of the filter."""
    names = ("ok", "limited", "failed_open", "failed_closed")
    return {name: daemon.metric("meshd_rate_limit_requests_total", result=name) for name in names}


class Load(threading.Thread):
    """Asks as fast as it can until ``over`` is set; ``seen`` has (status, seconds)."""

    def __init__(self, port, over):
        super().__init__(daemon=True)
        self.port, self.over, self.seen = port, over, []

    def run(self):
        """Ask."""
        while not self.over.is_set():
            (status, *_), seconds = timed(ask, self.port)
            self.seen.append((status, seconds))


def load(ports, seconds):
    """Return [(status, seconds)] of three threads at each port."""
    over = threading.Event()
    threads = [Load(port, over) for port in ports for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    over.set()
    for thread in threads:
        thread.join(30)
    return [one for thread in threads for one in thread.seen]


def test_two_machines_share_one_limit_to_the_unit(upstream, redis):
    with Daemon(limited(upstream, redis, store={"timeout": "2s"})) as one, \
            Daemon(limited(upstream, redis, store={"timeout": "2s"})) as other:
        begin = time.monotonic()
        seen = load([one.port, other.port], 3)
        lasted = time.monotonic() - begin
        admitted = sum(status == 200 for status, _ in seen)
        assert admitted <= 20 + 10 * lasted + 1e-6
        assert admitted >= 20 + 10 * 2.5
        assert {status for status, _ in seen} == {200, 429}
        totals = [results(daemon) for daemon in (one, other)]
        assert sum(total["ok"] for total in totals) == admitted
        assert all(total["ok"] > 5 and total["failed_open"] == 0 for total in totals)
        assert redis.clients() == len(one.pids) + len(other.pids)


def test_a_refusal_says_what_it_always_says(upstream, redis):
    made = limited(upstream, redis, rate=1, per="10s", burst=1)
    with Daemon(made) as daemon:
        assert wait_for(lambda: ask(daemon.port)[0] == 429, "a refusal")
        status, headers, body = ask(daemon.port)
        assert (status, body) == (429, b"local_rate_limited")
        assert (headers["x-envoy-ratelimited"], headers["x-ratelimit-limit"]) == ("true", "1, 1;w=10")
        assert headers["x-ratelimit-remaining"] == "0" and 1 <= int(headers["retry-after"]) <= 10
        assert daemon.access(status=429)["flags"] == "RL"


def test_keys_are_apart_bounded_and_expire(upstream, redis):
    made = limited(upstream, redis, rate=1, burst=1, key="header", header="x-tenant", store={"prefix": "p:"})
    with Daemon(made) as daemon:
        ready(daemon)
        redis.ask("FLUSHALL")
        tenants = ["a", "b", "k" * 50_000, "l" * 50_000]
        assert [ask(daemon.port, headers={"x-tenant": one})[0] for one in tenants * 2] == [200] * 4 + [429] * 4
        keys = [line for line in redis.ask("KEYS", "*").split(b"\r\n") if line.startswith(b"p:")]
        assert len(keys) == 4 and all(len(key) <= 256 for key in keys)
        for key in keys:
            assert 0 < int(redis.ask("PTTL", key)[1:]) <= 1002
        wait_for(lambda: redis.ask("DBSIZE") == b":0\r\n", "the keys to expire")


def ready(daemon):
    """Wait until the store decides."""
    wait_for(lambda: ask(daemon.port)[0] and (results(daemon)["ok"] or results(daemon)["limited"]), "the store")


def test_a_redis_that_is_killed_lets_pass_or_refuses_at_once_and_counts_again_when_it_is_back(upstream, redis):
    for on_error, status in (("open", 200), ("closed", 500)):
        made = limited(upstream, redis, rate=1, per="1h", burst=1, store={"on_error": on_error})
        with Daemon(made) as daemon:
            wait_for(lambda: ask(daemon.port)[0] == 429, "a refusal")
            killer = threading.Timer(0.5, redis.kill)
            killer.start()
            seen = load([daemon.port], 1.5)
            killer.join()
            assert {one for one, _ in seen} == {429, status}
            assert max(seconds for _, seconds in seen) < BUDGET_S + SLACK_S
            found = results(daemon)
            assert found["failed_" + on_error] > 10
            if on_error == "closed":
                row = daemon.access(status=500)
                assert (row["flags"], row["details"]) == ("RLSE", "rate_limiter_error")
            assert daemon.metric("meshd_rate_limit_store_errors_total", reason="connection") > 10
            redis.start()
            wait_for(lambda: ask(daemon.port)[0] == 429, "the limit to be in force again", 10)
            daemon.logged("works again")


def test_a_redis_that_hangs_costs_no_more_than_the_budget(upstream, redis):
    made = limited(upstream, redis, rate=1, per="1h", burst=1)
    with Daemon(made) as daemon:
        wait_for(lambda: ask(daemon.port)[0] == 429, "a refusal")
        redis.stop()
        try:
            seen = load([daemon.port], 3)
        finally:
            redis.go_on()
        assert {status for status, _ in seen} <= {200, 429}
        assert sorted(seconds for _, seconds in seen)[len(seen) // 2] < BUDGET_S + 0.03
        assert max(seconds for _, seconds in seen) < BUDGET_S + SLACK_S
        assert daemon.metric("meshd_rate_limit_store_errors_total", reason="timeout") > 0
        wait_for(lambda: ask(daemon.port)[0] == 429, "the limit to be in force again", 10)


def test_a_wrong_password_is_named_once_and_not_shown(upstream, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("not-the-one\n")
    with Redis("--requirepass", "s3cret") as redis:
        made = limited(upstream, redis, store={"password_file": str(secret)}, rate=1, per="1h", burst=1)
        with Daemon(made) as daemon:
            until = time.monotonic() + 2
            while time.monotonic() < until:
                assert ask(daemon.port)[0] == 200
            lines = [line for line in daemon.log().splitlines() if "AUTH was refused" in line]
            assert len(lines) == len(daemon.pids) and "WRONGPASS" in lines[0]
            assert "not-the-one" not in daemon.log()
            secret.write_text("s3cret\n")
            assert daemon.reload()["accepted"]
            wait_for(lambda: ask(daemon.port)[0] == 429, "the limit to be in force")


def test_a_user_of_the_servers_acl_and_another_database(upstream, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("pw")
    with Redis() as redis:
        redis.ask("ACL", "SETUSER", "mesh", "on", ">pw", "~meshd:*", "+@all")
        made = limited(upstream, redis, rate=1, per="1h", burst=1,
                       store={"username": "mesh", "password_file": str(secret), "database": 3})
        with Daemon(made) as daemon:
            wait_for(lambda: ask(daemon.port)[0] == 429, "a refusal")
            assert redis.ask("DBSIZE", login=("SELECT", 3)) == b":1\r\n"


def test_scripts_that_the_server_has_forgotten_are_given_again(upstream, redis):
    with Daemon(limited(upstream, redis, rate=1, per="1h", burst=3)) as daemon:
        ready(daemon)
        redis.ask("SCRIPT", "FLUSH")
        assert wait_for(lambda: ask(daemon.port)[0] == 429, "a refusal")
        assert results(daemon)["ok"] == 3
        assert daemon.metric("meshd_rate_limit_store_errors_total", reason="reply") == 0


def test_keys_are_spread_over_servers_alike_on_all_machines(upstream, redis):
    with Redis() as second:
        options = {"rate": 1, "per": "1h", "burst": 1, "key": "header", "header": "x-tenant",
                   "store": {"timeout": "2s"}}
        with Daemon(limited(upstream, redis, second, **options)) as one, \
                Daemon(limited(upstream, second, redis, **options)) as other:
            ready(one), ready(other)
            tenants = [str(number) for number in range(40)]
            statuses = [ask(daemon.port, headers={"x-tenant": name})[0] for name in tenants for daemon in (one, other)]
            assert statuses == [200, 429] * 40
            sizes = [int(server.ask("DBSIZE")[1:]) for server in (redis, second)]
            assert sum(sizes) == 41 and min(sizes) > 5


def test_a_reload_keeps_the_connection_and_one_to_a_removed_limit_is_closed(upstream, redis):
    made = limited(upstream, redis, rate=1, per="1h", burst=1)
    with Daemon(made) as daemon:
        ready(daemon)
        before = redis.ask("INFO", "stats").partition(b"total_connections_received:")[2].split()[0]
        made["listeners"][0]["filters"][0]["rate_limit"]["rate"] = 2
        daemon.write(made)
        assert daemon.reload()["accepted"]
        assert ask(daemon.port)[0] == 429
        after = redis.ask("INFO", "stats").partition(b"total_connections_received:")[2].split()[0]
        assert int(after) == int(before) + 1
        del made["listeners"][0]["filters"][0]
        daemon.write(made)
        assert daemon.reload()["accepted"]
        wait_for(lambda: redis.clients() == 0, "the end of the connection")
        daemon.settled()


def test_the_script_is_the_formula(redis):
    source = SOURCE.replace(b"redis.call('TIME')", b"{ARGV[3], ARGV[4]}")
    source = source.replace(b"'%.0f', ttl", b"'%.0f', ttl + 60000")
    assert source.count(b"ARGV[4]") == source.count(b"60000") == 1
    draw = random.Random(11)
    for key in range(40):
        state, now_us = None, 1_700_000_000_000_000 + draw.randrange(10**6)
        rate, burst = draw.choice((0.5, 1.0, 1 / 3, 7.3, 1e6)), draw.choice((1, 2, 20))
        for _ in range(25):
            now_us += draw.choice((0, 1, 10_000, 300_000, 5_000_000)) - draw.choice((0, 0, 0, 1_000_000))
            if draw.random() < 0.1:
                rate, burst = draw.choice((0.5, 4.0)), draw.choice((1, 30))
            answer = redis.ask("EVAL", source, 1, key, repr(rate), burst, now_us // 10**6, now_us % 10**6)
            admitted, level = Parser().receive(answer)[0]
            expected, expected_level, state = take(state, rate, burst, now_us)
            assert (admitted == 1, float(level)) == (expected, expected_level)
            if expected:
                left_ms = int(redis.ask("PTTL", key)[1:]) - 60_000
                assert 0 <= ttl_ms(expected_level, rate, burst) - left_ms < 5000


DOCUMENTS = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{{port: {{number: {port}, name: http, protocol: HTTP}}, hosts: ["*"]}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: redis}}
spec:
  hosts: [redis.test]
  resolution: STATIC
  ports: [{{number: 6379, name: redis, protocol: REDIS, targetPort: {redis}}}]
  endpoints: [{{address: 127.0.0.1}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: all}}
spec:
  hosts: ["*"]
  gateways: [edge]
  http: [{{directResponse: {{status: 200}}}}]
---
apiVersion: meshd.io/v1alpha1
kind: RateLimitPolicy
metadata: {{name: edge}}
spec:
  targetRef: {{kind: Gateway, name: edge}}
  limits: [{{requests: 3, per: 1h}}]
  store: {{redis: {{host: redis.test, timeout: 1s}}}}
"""


def test_a_policy_document_shares_its_limit(redis, tmp_path):
    daemons, found = [], []
    try:
        for name in ("one", "other"):
            folder = tmp_path / name
            folder.mkdir()
            port = free_port()
            (folder / "mesh.yaml").write_text(DOCUMENTS.format(port=port, redis=redis.port))
            daemons.append(Daemon({"node": {"id": name, "role": "ingress"}, "documents": [str(folder)]}))
        for _ in range(4):
            found += [ask(daemon.port)[0] for daemon in daemons]
        assert found == [200] * 3 + [429] * 5, json.dumps(daemons[0].json("/config_dump"))[:2000]
    finally:
        for daemon in daemons:
            daemon.stop()
