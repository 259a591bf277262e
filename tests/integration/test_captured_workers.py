"""Two captured sidecars of two workers each, with mutual TLS between them: reloads and upgrades lose nothing."""

import pytest

from tests.integration.harness.capture import STRANGER, Pair
from tests.integration.harness.echo import Echo
from tests.integration.harness.loss import Loss
from tests.integration.harness.shape import TWO_WORKERS, upgrade
from tests.integration.harness.sidecars import INBOUND, Sidecar, readable, resolver
from tests.integration.harness.tls import Mesh
from tests.integration.test_captured import sidecar
from tests.integration.test_captured_tls import client_side, server_side

DRAIN = {"drain": {"grace": "0s", "deadline": "5s"}}
MORE = {**TWO_WORKERS, **DRAIN}


@pytest.fixture
def machines():
    """Two machines, and a mesh's certificates."""
    with Pair() as pair, Mesh() as mesh:
        readable(mesh.folder)
        yield pair.near, pair.far, mesh


def again(daemon, configuration, word):
    """Reload with a configuration that differs a little."""
    configuration["node"]["labels"] = {"reload": word}
    daemon.write(configuration)
    outcome = daemon.reload()
    assert outcome["accepted"], outcome


@pytest.mark.parametrize("mode", ["redirect", "tproxy"])
def test_reloads_and_upgrades_of_captured_workers_lose_nothing(machines, mode):
    near, far, mesh = machines
    is_tproxy = mode == "tproxy"
    with Echo("0.0.0.0", prefix=far.prefix(STRANGER)) as echo:
        client = {**client_side(mesh, far.address, echo.port), **MORE}
        server = {**server_side(mesh, transparent=is_tproxy), **MORE}
        with Sidecar(near, client) as one, Sidecar(far, server, transparent=is_tproxy) as two:
            near.enable()
            far.enable("--mode", mode)
            with Loss(echo.port, host=far.address, prefix=near.prefix(STRANGER), rate=150, websockets=2) as load:
                load.warm()
                for word in "ab":
                    again(one, client, word)
                    again(two, server, word)
                for daemon in (two, one):
                    upgrade(daemon)
                load.warm()
                result = load.stop()
            result.assert_nothing_lost()
            assert (result.refused, result.raced) == (0, 0), str(result)
            assert two.metric("envoy_listener_ssl_handshake", listener="inbound") > 0
            assert two.metric("envoy_cluster_upstream_rq_total", cluster_name=INBOUND) > 0
            assert two.metric("meshd_listener_direct_refused_total") == 0


def test_two_workers_answer_queries_for_names_of_the_mesh(machines):
    near = machines[0]
    made = {**sidecar(), **MORE, "dns": {"resolvers": ["198.18.0.2:5353"], "timeout": "200ms"},
            "dns_hosts": [{"name": "orders.shop.test", "addresses": ["240.240.0.7"]}]}
    made["node"]["dns_capture"] = True
    with Sidecar(near, made) as daemon, resolver(near, "127.0.0.53"):
        near.enable("--dns", "--dns-servers", "127.0.0.53")
        for after in ("nothing", "an upgrade"):
            for _ in range(8):
                assert near.run("getent", "ahostsv4", "orders.shop.test").stdout.startswith("240.240.0.7 "), after
            if after == "nothing":
                upgrade(daemon)
