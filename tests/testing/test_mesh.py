"""The proxy in the test's process: it is a real one, it tells what a test asks, and it leaves nothing behind."""

import gc
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import weakref
from pathlib import Path
from unittest import TestCase

import attrs
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.utils import getProcessOutput
from twisted.python import threadable

from meshd.api import CONTINUE, ConfigurationError, MeshdError, PluginError, PluginType
from meshd.registry import Registry
from meshd.testing import CLOSE, NEVER, Client, FakeSite, FakeTime, Mesh, MeshMixin, assert_metrics
from meshd.testing.registry import installed, registry_with
from tests.testing import signer
from tests.testing.signer import SIGN, configuration

YAML = """
    listeners:
      - name: public
        address: 127.0.0.1:0
        filters:
          - sign: {value: %s}
          - router: {virtual_hosts: [{name: a, domains: ["*"], routes: [{match: {prefix: /}, cluster: up}]}]}
    clusters:
      - {name: up, endpoints: [{address: "%s"}]}
"""


def listener(name, address="127.0.0.1:0", **more):
    """Return a listener that answers with its name."""
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": name}}
    router = {"router": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]}}
    return {"name": name, "address": address, "filters": [router], **more}


class Case(MeshMixin, TestCase):
    def proxy(self, source=None, **options):
        return self.mesh(source or configuration(), plugins=[SIGN], **options)

    def end_of(self, proxy):
        """Return what the end of a proxy fails with."""
        with self.assertRaises(AssertionError) as caught:
            proxy.close()
        return str(caught.exception)


class ServeTest(Case):
    def test_requests_go_through_filters_and_router_to_the_upstream_and_back(self):
        api = self.upstream(200, body="hi")
        proxy = self.proxy(YAML % ("a", api.address))
        answer = proxy.get("/x?y", headers={"x-a": "1"})
        self.assertEqual((answer.status, answer.body, answer.headers["X-Sign"]), (200, b"hi", "a"))
        self.assertEqual((api.requests[0].target, api.requests[0].headers["x-a"]), ("/x?y", "1"))
        self.assertEqual(proxy.request("POST", "/", body="abc").status, 200)
        self.assertEqual(api.requests[1].body, b"abc")

    def test_each_listener_has_a_port_of_its_own(self):
        proxy = self.mesh({"listeners": [listener("one"), listener("two"), listener("six", "[::1]:0")]})
        self.assertEqual(list(proxy.ports), ["one", "six", "two"])
        self.assertEqual(len({proxy.port, *proxy.ports.values()}), 3)
        for name in proxy.ports:
            self.assertEqual(proxy.get("/", listener=name).text, name)
            self.assertEqual(proxy.client(name).get("/").text, name)
            self.assertEqual(Client(proxy.addresses[name]).get("/").text, name)

    def test_a_listener_may_have_a_unix_socket(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        proxy = self.mesh({"listeners": [listener("local", f"unix:{folder.name}/s")]})
        self.assertEqual((proxy.get("/").text, proxy.ports), ("local", {}))

    def test_a_path_is_read_as_meshd_reads_it(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name, "mesh.yaml")
        path.write_text(YAML % ("a", "127.0.0.1:9"))
        self.assertEqual(self.proxy(path).get("/").status, 503)

    def test_its_admin_api_is_the_real_one_on_a_port_of_its_own(self):
        one, two = self.proxy(), self.proxy()
        for proxy in (one, two):
            self.assertEqual(proxy.admin("/server_info").json()["state"], "LIVE")
            self.assertEqual(proxy.admin("/healthcheck/fail", "POST").status, 200)
            self.assertEqual(proxy.admin("/ready").status, 503)

    def test_what_a_test_looks_at_is_asked_in_the_proxys_thread(self):
        proxy = self.proxy()
        self.assertNotEqual(proxy.call(threading.get_ident), threading.get_ident())
        with self.assertRaisesRegex(KeyError, "no"):
            proxy.call({}.__getitem__, "no")

    def test_a_plugins_object_is_found_by_its_name(self):
        proxy = self.proxy(configuration(value="x"))
        self.assertEqual(proxy.plugin("sign").value, "x")
        with self.assertRaisesRegex(KeyError, "expected one of .*router"):
            proxy.plugin("sing")

    def test_metrics_are_read_at_once(self):
        proxy = self.proxy()
        with assert_metrics(proxy, {'sign_total{filter="sign"}': +1, "envoy_http_downstream_rq_total": +1}):
            proxy.get("/direct")
        self.assertEqual(proxy.metrics['sign_total{filter="sign"}'], 1)

    def test_its_log_can_be_read_and_waited_for(self):
        proxy = self.proxy()
        self.assertIn("meshd 0.1.0 ready: public 127.0.0.1:", proxy.log)
        proxy.call(proxy.daemon.dump)
        proxy.log.wait("dump: listener public")
        with self.assertRaisesRegex(AssertionError, "'never' did not come in 0.01 s; it has:\n.* in force: "):
            proxy.log.wait("never", limit_s=0.01)

    def test_each_proxy_has_its_own_lines(self):
        one, two = self.proxy(), self.proxy()
        one.call(one.daemon.dump)
        self.assertIn("dump:", one.log)
        self.assertNotIn("dump:", two.log)

    def test_the_watchdog_runs_only_where_it_is_asked_for(self):
        names = [thread.name for thread in threading.enumerate()]
        self.proxy()
        self.assertEqual([thread.name for thread in threading.enumerate()].count("meshd-watchdog"),
                         names.count("meshd-watchdog"))
        self.proxy({**configuration(), "plugins": {"watchdog": {"late": "10s"}}})
        self.assertIn("meshd-watchdog", [thread.name for thread in threading.enumerate()])

    def test_a_child_process_of_a_plugin_is_seen_to_end(self):
        proxy = self.proxy()
        reactor = proxy.daemon.reactor
        output = proxy.call(getProcessOutput, sys.executable, ("-c", "print(1)"), None, None, reactor)
        self.assertEqual(output, b"1\n")


class ReloadTest(Case):
    def test_a_reload_is_in_force_when_it_returns(self):
        proxy = self.proxy(configuration(value="a"))
        client, port = self.client(proxy), proxy.port
        self.assertEqual(client.get("/direct").headers["x-sign"], "a")
        outcome = proxy.reload(configuration(value="b"))
        self.assertTrue(outcome.is_accepted, outcome)
        self.assertEqual((client.get("/direct").headers["x-sign"], proxy.port, outcome.generation), ("b", port, 2))

    def test_a_bad_configuration_is_refused_with_its_faults_and_changes_nothing(self):
        proxy = self.proxy(configuration(value="a"))
        outcome = proxy.reload("listeners: [{name: x, adress: 127.0.0.1:0}]")
        self.assertFalse(outcome.is_accepted)
        self.assertIn("MSH0104", outcome.codes)
        self.assertEqual(proxy.get("/direct").headers["x-sign"], "a")

    def test_listeners_come_and_go(self):
        proxy = self.mesh({"listeners": [listener("one"), listener("two")]})
        self.assertTrue(proxy.reload({"listeners": [listener("one"), listener("three")]}).is_accepted)
        self.assertEqual(set(proxy.ports), {"one", "three"})
        self.assertEqual(proxy.get("/", listener="three").text, "three")

    def test_the_admin_api_reloads_what_is_in_force(self):
        proxy = self.proxy()
        self.assertEqual(proxy.admin("/reload", "POST").json()["generation"], 2)


class RefusalTest(Case):
    def test_faults_are_shown_as_the_check_shows_them(self):
        with self.assertRaises(ConfigurationError) as caught:
            self.proxy(YAML.replace("prefix", "prefx") % ("a", "127.0.0.1:9"))
        text = str(caught.exception)
        self.assertIn("--> mesh.yaml:7:78\n", text)
        self.assertIn('^^^^^ did you mean "prefix"?', text)
        self.assertIn("1 error, 0 warnings in 1 file", text)
        self.assertEqual([fault.code for fault in caught.exception.faults], ["MSH0104"])

    def test_text_that_is_no_yaml_is_a_fault_too(self):
        with self.assertRaisesRegex(ConfigurationError, "Configuration NOT valid"):
            self.mesh("listeners: [")

    def test_a_plugin_that_cannot_be_built_is_a_fault(self):
        def build(config, site):
            raise PluginError("no luck")
        with self.assertRaisesRegex(ConfigurationError, "(?s)http_filter sign: test : no luck.*NOT valid"):
            self.mesh(configuration(), plugins=[attrs.evolve(SIGN, build=build)])

    def test_an_address_that_is_taken_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "127.0.0.1:{}".format(taken.getsockname()[1])
            with self.assertRaisesRegex(MeshdError, f"listener one: {address}: cannot bind: address already in use"):
                self.mesh({"listeners": [listener("one", address)]})

    def test_a_refused_proxy_leaves_nothing(self):
        before, threads = fds(), threading.active_count()
        self.test_an_address_that_is_taken_is_named()
        self.assertEqual((fds(), threading.active_count()), (before, threads))


class PluginsTest(TestCase):
    def test_a_module_and_its_types_come_to_the_same(self):
        for plugins in ([signer], [SIGN]):
            registry = registry_with(plugins)
            self.assertIs(registry.type("http_filter", "sign"), SIGN)
            self.assertEqual(registry.owner("tests.testing.signer").distribution, "test")
            self.assertIsNotNone(registry.type("http_filter", "router"))

    def test_the_installed_ones_stay_as_they_are(self):
        registry_with([SIGN])
        self.assertIsNone(installed().type("http_filter", "sign"))
        self.assertIs(registry_with(), installed())

    def test_what_is_installed_too_is_taken_once(self):
        kind, name = "http_filter", "cors"
        module = sys.modules[installed().type(kind, name).build.__module__]
        registry = registry_with([module])
        self.assertEqual(registry.entry(kind, name).distribution, "test")
        self.assertEqual(registry.names(kind), installed().names(kind))

    def test_a_name_that_somebody_else_has_is_refused(self):
        with self.assertRaisesRegex(PluginError, "http_filter 'router': already offered by plugin 'router' of meshd"):
            registry_with([attrs.evolve(SIGN, name="router")])

    def test_a_type_of_no_kind_is_refused(self):
        with self.assertRaisesRegex(PluginError, "unknown kind"):
            registry_with([PluginType(kind="htpp_filter", name="x", build=signer.Signer)])

    def test_what_is_no_plugin_is_refused(self):
        with self.assertRaisesRegex(PluginError, "plugins: 3: expected a module"):
            registry_with([3])

    def test_a_site_builds_them(self):
        site = FakeSite(plugins=[signer])
        self.assertEqual(site.make("http_filter", "sign", signer.Sign(value="x")).value, "x")
        self.assertIsInstance(site.registry, Registry)


class ClockTest(Case):
    def test_timers_of_plugins_go_by_the_tests_clock(self):
        proxy = self.proxy(clock=self.clock)
        self.clock.advance(4.9)
        self.assertEqual(proxy.get("/direct").headers["x-sign"], "a")
        self.clock.advance(0.2)
        self.assertEqual(proxy.get("/direct").headers["x-sign"], "a+")

    def test_plugins_see_its_time(self):
        proxy = self.proxy(clock=self.clock)
        site = proxy.plugin("sign").site
        now, wall = site.clock.now(), site.clock.wall()
        self.assertEqual(wall, self.clock.wall())
        self.clock.advance(60)
        self.assertEqual((site.clock.now(), site.clock.wall()), (now + 60, wall + 60))

    def test_several_proxies_and_a_site_share_it(self):
        proxies = [self.proxy(clock=self.clock) for _ in range(2)]
        made = self.kit.site(plugins=[SIGN]).make("http_filter", "sign", signer.Sign())
        made.start()
        self.clock.advance(5)
        self.assertEqual([proxy.get("/direct").headers["x-sign"] for proxy in proxies], ["a+", "a+"])
        self.assertEqual(made.value, "1+")

    def test_a_proxy_that_has_ended_follows_no_more(self):
        clock = FakeTime()
        Mesh(configuration(), plugins=[SIGN], clock=clock).close()
        self.assertEqual(clock.followers, [])
        clock.advance(9)


class EndTest(Case):
    def test_a_timer_that_is_left_is_named(self):
        for clock in (None, FakeTime()):
            text = self.end_of(self.proxy(configuration(value="timer"), clock=clock))
            self.assertIn("a timer: tests.testing.signer.Signer.tick: expected stop() to cancel it", text)

    def test_an_exception_of_a_plugin_fails_unless_it_is_flushed(self):
        proxy = self.proxy()
        self.assertEqual(proxy.get("/bad").status, 500)
        self.assertIn("ValueError: bad path", str(proxy.faults[0]))
        self.assertIn("logged, and not flushed:\n", self.end_of(proxy))
        proxy = self.proxy()
        proxy.get("/bad")
        self.assertEqual((proxy.flush_faults(KeyError), len(proxy.flush_faults(ValueError))), ([], 1))
        proxy.close()

    def test_an_exception_that_the_log_leaves_out_is_counted(self):
        proxy = self.proxy()
        proxy.get("/bad")
        proxy.flush_faults()
        proxy.get("/bad")
        self.assertIn("meshd_plugin_errors_total grew by 1", self.end_of(proxy))

    def test_a_child_process_that_is_left_is_named(self):
        proxy = self.proxy()
        child = (ProcessProtocol(), sys.executable, (sys.executable, "-c", "import time; time.sleep(600)"))
        process = proxy.call(proxy.daemon.reactor.spawnProcess, *child)
        pid = process.pid
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.kill, pid, signal.SIGKILL)
        self.assertIn(f"process {pid} still runs: expected stop() to end it", self.end_of(proxy))

    def test_a_request_that_never_ends_is_named(self):
        api = self.upstream(NEVER)
        proxy = self.proxy(configuration(api.address))
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            api.wait(1)
            with self.assertRaisesRegex(AssertionError, "listener public: 1 requests in flight"):
                proxy.settle(0.05)
        proxy.close()

    def test_idle_clients_of_the_tests_own_are_no_leak(self):
        proxy = self.proxy()
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            client.sendall(b"GET /direct HTTP/1.1\r\nhost: a\r\n\r\n")
            client.recv(9999)
            proxy.close()

    def test_its_own_clients_are_closed_first(self):
        api = self.upstream(NEVER)
        proxy = self.proxy(configuration(api.address))
        proxy.client().send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        api.wait(1)
        proxy.close()

    def test_an_upstream_that_misbehaves_is_no_leak(self):
        proxy = self.proxy(configuration(self.upstream(CLOSE).address))
        self.assertEqual(proxy.get("/").status, 503)
        proxy.close()

    def test_a_proxy_that_was_told_to_quit_ends_too(self):
        proxy = self.proxy()
        proxy.admin("/quitquitquit", "POST")
        proxy.close()
        proxy.close()

    def test_an_error_in_the_block_goes_first(self):
        with self.assertRaises(KeyError), Mesh(configuration(value="timer"), plugins=[SIGN]):
            raise KeyError

    def test_nothing_of_it_is_left_in_the_process(self):
        Mesh(configuration(), plugins=[SIGN]).close()
        before, threads, frozen = fds(), threading.active_count(), gc.get_freeze_count()
        proxy = Mesh(configuration(), plugins=[SIGN])
        proxy.get("/direct")
        proxy.reload(configuration(value="b"))
        proxy.close()
        self.assertEqual((fds(), threading.active_count(), gc.get_freeze_count()), (before, threads, frozen))
        ends = [weakref.ref(one) for one in (proxy, proxy.daemon.world)]
        del proxy
        gc.collect()
        self.assertEqual([end() for end in ends], [None, None])

    def test_it_is_not_twisteds_io_thread(self):
        before = threadable.ioThread
        self.proxy()
        self.assertEqual(threadable.ioThread, before)

    def test_a_plugin_that_blocks_is_named_by_its_line(self):
        release = threading.Event()

        class Blocker(signer.Signer):
            def on_request(self, exchange):
                release.wait(20)
                return CONTINUE
        proxy = Mesh(configuration(), plugins=[attrs.evolve(SIGN, build=Blocker)])
        client = proxy.client()
        client.send(b"GET /direct HTTP/1.1\r\nhost: a\r\n\r\n")
        until = time.monotonic() + 20
        while "in on_request" not in proxy._thread.where():
            self.assertLess(time.monotonic(), until)
        with self.assertRaisesRegex(TimeoutError, r"(?s)no answer in 0.01 s: its thread is at\n.*release.wait\(20\)"):
            proxy._thread.call(int, limit_s=0.01)
        release.set()
        self.assertEqual(client.answer().status, 200)
        proxy.close()

    def test_the_start_takes_less_than_50_ms_of_cpu_after_the_first(self):
        self.proxy()
        spans = []
        for _ in range(5):
            began = time.process_time()
            self.proxy()
            spans.append(time.process_time() - began)
        self.assertLess(min(spans), 0.05)


def fds():
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))
