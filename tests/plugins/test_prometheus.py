"""The prometheus sink: Istio's metric contract."""

import unittest

from prometheus_client.parser import text_string_to_metric_families

from meshd.api import Headers, flag
from meshd.model.snapshot import Node
from meshd.telemetry.writer import expose
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.prometheus.config import METRICS, Prometheus
from meshd_plugins.prometheus.label import LABELS

# ux.md 4.1, label set W and what HTTP adds; written out here so that a slip in the plugin shows
CONTRACT = set(
    "reporter source_workload source_workload_namespace source_principal source_app source_version source_cluster "
    "source_canonical_service source_canonical_revision destination_workload destination_workload_namespace "
    "destination_principal destination_app destination_version destination_cluster destination_canonical_service "
    "destination_canonical_revision destination_service destination_service_name destination_service_namespace "
    "request_protocol connection_security_policy response_flags response_code grpc_response_status".split()
)
GATEWAY = Node(id="gw-1", role="ingress", namespace="edge", labels=(("app", "gateway"), ("version", "v7")))
SIDECAR = Node(id="users-1", role="sidecar", namespace="shop", labels=(("app", "users"), ("version", "v2")))


class Named:
    def __init__(self, name="", labels=()):
        self.name = name
        self.labels = labels


USERS = Named("outbound|80|v1|users.shop.svc.cluster.local")
ENDPOINT = Named(labels=(("app", "users"), ("version", "v1"), ("namespace", "shop")))


class PrometheusTest(unittest.TestCase):
    def sink(self, node=GATEWAY, **config):
        self.site = FakeSite(node=node)
        return self.site.make("telemetry", "prometheus", Prometheus(**config))

    def exchange(self, status=200, headers=(), version=11, **attributes):
        values = {"cluster": USERS, "endpoint": ENDPOINT, "attempts": 1, "started": 10.0, "ended": 10.042}
        exchange = FakeExchange(b"GET", b"/secret/path?token=1", headers, **(values | attributes))
        exchange.request.version = version
        if status:
            exchange.respond(status)
        return exchange

    def samples(self, name):
        text = b"".join(expose(self.site.metrics)).decode()
        found = [one for family in text_string_to_metric_families(text) for one in family.samples]
        return [(one.labels, one.value) for one in found if one.name in (name, f"{name}_total")]

    def only(self, name):
        (row,) = self.samples(name)
        return row

    def test_every_series_carries_the_whole_contract(self):
        self.sink().on_complete(self.exchange())
        labels, value = self.only("istio_requests_total")
        self.assertEqual((set(labels), value), (CONTRACT, 1.0))
        self.assertEqual(set(LABELS), CONTRACT)
        labels, _ = self.only("istio_request_bytes_count")
        self.assertEqual(set(labels), CONTRACT - {"grpc_response_status"})

    def test_messages_of_calls_are_counted_where_grpc_stats_has(self):
        sink, call = self.sink(), ((b"content-type", b"application/grpc"),)
        for counts in ({"request_message_count": 2, "response_message_count": 5}, {"request_message_count": 1}):
            exchange = self.exchange(headers=call)
            exchange.metadata["envoy.filters.http.grpc_stats"] = counts
            sink.on_complete(exchange)
        sink.on_complete(self.exchange(headers=call))
        sink.on_complete(self.exchange())
        for name, count in (("istio_request_messages_total", 3), ("istio_response_messages_total", 5)):
            labels, value = self.only(name)
            self.assertEqual((labels["request_protocol"], value), ("grpc", count))
            self.assertEqual(set(labels), CONTRACT - {"grpc_response_status", "response_code"})

    def test_requests_of_codecs_have_their_own_protocol(self):
        sink = self.sink()
        sink.on_complete(self.exchange())
        for status in (200, 200, 503):
            sink.on_complete(self.exchange(status, version=0, protocol="dubbo"))
        rows = {(labels["request_protocol"], labels["response_code"]): value
                for labels, value in self.samples("istio_requests_total")}
        self.assertEqual(rows, {("http", "200"): 1, ("dubbo", "200"): 2, ("dubbo", "503"): 1})
        self.assertEqual(self.samples("istio_tcp_connections_closed_total"), [])

    def test_a_gateway_reports_as_source_with_itself_and_the_endpoint(self):
        self.sink().on_complete(self.exchange())
        labels, _ = self.only("istio_requests_total")
        expected = {
            "reporter": "source", "source_workload": "gateway", "source_workload_namespace": "edge",
            "source_version": "v7", "source_principal": "unknown", "destination_workload": "users",
            "destination_workload_namespace": "shop", "destination_version": "v1",
            "destination_service": "users.shop.svc.cluster.local", "destination_service_name": "users",
            "destination_service_namespace": "shop", "request_protocol": "http", "response_code": "200",
            "response_flags": "-", "connection_security_policy": "none", "grpc_response_status": "",
        }
        self.assertEqual({name: labels[name] for name in expected}, expected)

    def test_a_sidecar_reports_as_destination_with_itself_as_the_callee(self):
        cluster = Named("inbound|8080||users.shop.svc.cluster.local")
        self.sink(SIDECAR).on_complete(self.exchange(cluster=cluster))
        labels, _ = self.only("istio_requests_total")
        self.assertEqual(
            (labels["reporter"], labels["source_workload"], labels["destination_workload"]),
            ("destination", "unknown", "users"),
        )
        self.assertEqual(labels["destination_service_name"], "users")

    def test_a_request_without_cluster_is_told_with_unknown_never_with_its_host(self):
        self.sink().on_complete(self.exchange(404, cluster=None, endpoint=None, flags=flag.NR, is_local_reply=True))
        labels, _ = self.only("istio_requests_total")
        self.assertEqual(labels["destination_service"], "unknown")
        self.assertEqual((labels["response_flags"], labels["response_code"]), ("NR", "404"))

    def test_a_client_that_left_first_has_code_0(self):
        self.sink().on_complete(self.exchange(0, flags=flag.DC))
        labels, _ = self.only("istio_requests_total")
        self.assertEqual((labels["response_code"], labels["response_flags"]), ("0", "DC"))

    def test_a_request_that_broke_http_is_counted(self):
        exchange = self.exchange(400, cluster=None, endpoint=None, flags=flag.DPE, is_local_reply=True)
        exchange.request = None
        self.sink().on_complete(exchange)
        self.assertEqual(self.only("istio_requests_total")[0]["response_flags"], "DPE")

    def test_paths_hosts_and_clients_never_become_labels(self):
        sink = self.sink()
        for number in range(50):
            exchange = self.exchange(client=f"10.0.0.{number}", peer=f"10.0.0.{number}:1", stream_id=number)
            exchange.request.set_target(b"/%d" % number)
            exchange.request.host = b"host-%d" % number
            sink.on_complete(exchange)
        self.assertEqual(self.only("istio_requests_total")[1], 50.0)

    def test_durations_are_milliseconds_and_sizes_are_bytes(self):
        self.sink().on_complete(self.exchange(request_bytes=7, response_bytes=512))
        self.assertAlmostEqual(self.only("istio_request_duration_milliseconds_sum")[1], 42.0)
        self.assertEqual(self.only("istio_request_bytes_sum")[1], 7.0)
        self.assertEqual(self.only("istio_response_bytes_sum")[1], 512.0)

    def test_grpc_is_told_with_its_status(self):
        exchange = self.exchange(headers=[(b"content-type", b"application/grpc+proto")])
        exchange.respond(200, [(b"grpc-status", b"0")])
        exchange.trailers = Headers.of((b"grpc-status", b"14"))
        self.sink().on_complete(exchange)
        labels, _ = self.only("istio_requests_total")
        self.assertEqual((labels["request_protocol"], labels["grpc_response_status"]), ("grpc", "14"))

    def test_what_a_caller_makes_of_an_answer_that_is_not_grpc(self):
        exchange = self.exchange(headers=[(b"content-type", b"application/grpc")])
        exchange.respond(404)
        self.sink().on_complete(exchange)
        self.assertEqual(self.only("istio_requests_total")[0]["grpc_response_status"], "12")

    def test_a_dropped_label_is_gone_from_every_series(self):
        self.sink(drop_labels=("source_version", "grpc_response_status")).on_complete(self.exchange())
        labels, _ = self.only("istio_requests_total")
        self.assertEqual(set(labels), CONTRACT - {"source_version", "grpc_response_status"})

    def test_a_disabled_metric_is_not_written_and_the_others_are(self):
        self.sink(disable=("istio_request_bytes", "envoy_cluster_upstream_rq_xx")).on_complete(self.exchange())
        self.assertEqual(self.samples("istio_request_bytes_count"), [])
        self.assertEqual(self.samples("envoy_cluster_upstream_rq_xx"), [])
        self.assertEqual(self.only("istio_requests_total")[1], 1.0)

    def test_every_metric_can_be_disabled(self):
        self.sink(disable=METRICS).on_complete(self.exchange())
        self.assertEqual([name for name in self.site.metrics.families if not name.startswith("meshd_")], [])

    def test_buckets_are_those_of_the_configuration(self):
        self.sink(buckets=(("istio_request_duration_milliseconds", (20.0, 50.0)),)).on_complete(self.exchange())
        rows = self.samples("istio_request_duration_milliseconds_bucket")
        self.assertEqual([(labels["le"], value) for labels, value in rows], [("20", 0.0), ("50", 1.0), ("+Inf", 1.0)])

    def test_faulty_buckets_are_told(self):
        faults = list(Prometheus(buckets=(("istio_bytes", (1.0,)), ("istio_request_bytes", (2.0, 1.0)))).check())
        self.assertEqual([name for name, _ in faults], ["buckets", "buckets"])
        self.assertIn("ascending", faults[1][1])

    def test_envoys_classes_count_the_upstreams_answers_apart_from_local_replies(self):
        sink = self.sink()
        sink.on_complete(self.exchange(503))
        sink.on_complete(self.exchange(503, is_local_reply=True, flags=flag.UF))
        labels, value = self.only("envoy_cluster_upstream_rq_xx")
        self.assertEqual((labels["cluster_name"], labels["response_code_class"], value), (USERS.name, "5xx", 1.0))
        labels, value = self.only("envoy_http_downstream_rq_xx")
        self.assertEqual((labels["listener"], labels["response_code_class"], value), ("test", "5xx", 2.0))

    def test_the_next_runtime_counts_on_in_the_same_series(self):
        self.sink().on_complete(self.exchange())
        after = self.site.make("telemetry", "prometheus", Prometheus())
        after.on_complete(self.exchange())
        self.assertEqual(self.only("istio_requests_total")[1], 2.0)

    def test_idle_series_expire_and_begin_again_without_loss(self):
        sink = self.sink()
        sink.start()
        sink.on_complete(self.exchange())
        list(self.site.metrics.sweep(0.0))
        list(self.site.metrics.sweep(5000.0))
        self.assertEqual(self.only("istio_requests_total")[1], 1.0, "a cell that is still bound must not end")
        self.site.advance(901)
        list(self.site.metrics.sweep(9000.0))
        self.assertEqual(self.samples("istio_requests_total"), [])
        sink.on_complete(self.exchange())
        self.assertEqual(self.only("istio_requests_total")[1], 1.0)
        sink.stop()
        self.assertEqual(self.site.world.reactor.getDelayedCalls(), [])
