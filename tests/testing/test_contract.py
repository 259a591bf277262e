"""The contract suites let in what keeps the contract and catch what breaks it, kind by kind."""

import unittest
from unittest import TestCase

import click
from twisted.internet.defer import succeed

from meshd.api import CONTINUE, KINDS, REQUEST, RESPONSE, Frame, ProtocolError
from meshd.testing.contract import cluster, configuration, connection, http, retry, telemetry, tool
from meshd.testing.contract.kind import KindContract

SUITES = (
    cluster.LoadBalancerContract, cluster.CircuitBreakerContract, cluster.DiscoveryContract,
    cluster.OutlierDetectorContract, cluster.HealthCheckerContract, retry.RetryPolicyContract,
    telemetry.TelemetryContract, telemetry.AccessLogOperatorContract, connection.ListenerFilterContract,
    connection.NetworkFilterContract, connection.ProtocolCodecContract, configuration.ConfigDialectContract,
    configuration.ConfigSourceContract, configuration.StoreContract, tool.AdminPageContract, tool.CtlVerbContract,
)
OTHERS = {"http_filter": http.HttpFilterContract, "authenticator": http.AuthenticatorContract,
          "authorizer": http.AuthorizerContract}


class First:
    """A balancer that forgets what was tried."""

    def __init__(self):
        self.usable = ()

    def update(self, endpoints):
        self.usable = endpoints

    def pick(self, exchange):
        return self.usable[0] if self.usable else None


class Leaky:
    """A breaker whose refusals cost."""

    limit = 3

    def __init__(self):
        self.used = 0

    def admit_request(self):
        self.used += 1
        return self.used <= self.limit

    def release_request(self):
        self.used -= 1

    admit_pending = admit_connection = admit_retry = admit_request
    release_pending = release_connection = release_retry = release_request

    def state(self):
        return {"requests": (self.used, self.limit)}


class Endless:
    """A policy that never gives up."""

    body_limit_bytes = 0
    judges_responses = True

    def judge(self, exchange, outcome):
        return None if outcome.status == 200 else 0.1


class Pages:
    path = "/hello"
    methods = ("GET",)

    def render(self, query):
        return 200, "text/plain", query["name"][0].encode()


class Detector:
    def watch(self, cluster):
        pass

    def on_result(self, endpoint, outcome):
        pass


class Checker:
    def check(self, endpoint):
        return succeed(True)


class Verb:
    def command(self):
        return click.Command("hello", help="Greets.")


class Operator:
    def compile(self, argument, length):
        return lambda exchange: exchange.request.method.decode()[:length]


class Accept:
    def on_accept(self, arrival):
        return CONTINUE


class Upper:
    def on_data(self, session, data):
        return data.upper()


class Lines:
    """A codec of lines: ``ask ID WORDS`` or ``say ID WORDS``."""

    is_multiplexed = True
    max_frame_bytes = 100

    def decode(self, data):
        *lines, rest = data.split(b"\n")
        if lines and not lines[0].startswith((b"ask ", b"say ")) or len(rest) > 50 or rest[:1] not in b"as":
            raise ProtocolError("no line")
        return [self.frame(line) for line in lines], rest

    def frame(self, line):
        is_answer = line.startswith(b"say")
        return Frame(RESPONSE if is_answer else REQUEST, line + b"\n", int(line.split()[1]), is_error=is_answer)

    def frame_bytes(self, start):
        return start.find(b"\n") + 1

    def encode(self, frame):
        word, _, rest = frame.data.split(b" ", 2)
        return b"%b %d %b" % (word, frame.id, rest)

    def fields(self, frame):
        return [(b"words", frame.data)] if frame.id < 0 else [(b"word", frame.data.split()[2])]

    def heartbeat_answer(self, frame):
        return frame

    def refusal(self, frame, reason):
        return b"say %d %b\n" % (frame.id, reason.encode())

    def malformed(self, data):
        return b"say 0 what\n"


class Source:
    def read(self):
        return [("a", "node: {}")]


class Memory(dict):
    def put(self, key, value):
        self[key] = value


def run(contract, make, **members):
    """Run ``contract`` against what ``make`` returns; return the names of the tests that failed."""
    case = type("Case", (contract, TestCase), {"make": lambda self: make(), **members})
    result = unittest.TestResult()
    unittest.TestLoader().loadTestsFromTestCase(case).run(result)
    assert result.testsRun > 2
    found = {test.id() for test, _ in result.failures + result.errors}
    return sorted({name.partition(" ")[0].rpartition(".")[2] for name in found})


class ContractTest(TestCase):
    def test_every_kind_has_a_suite(self):
        self.assertEqual({suite.kind for suite in SUITES} | set(OTHERS), set(KINDS))
        self.assertTrue(all(issubclass(suite, KindContract) for suite in SUITES))

    def test_keepers_of_the_contract_pass(self):
        for contract, make, members in (
            (cluster.OutlierDetectorContract, Detector, {}), (cluster.HealthCheckerContract, Checker, {}),
            (telemetry.AccessLogOperatorContract, Operator, {}), (connection.ListenerFilterContract, Accept, {}),
            (connection.NetworkFilterContract, Upper, {}),
            (connection.ProtocolCodecContract, Lines, {"frames": (b"ask 1 one\n", b"say 1 two\n")}),
            (configuration.ConfigSourceContract, Source, {}), (configuration.StoreContract, Memory, {}),
            (tool.CtlVerbContract, Verb, {}),
        ):
            with self.subTest(contract.kind):
                self.assertEqual(run(contract, make, **members), [])

    def test_catches_a_balancer_that_forgets_what_was_tried(self):
        self.assertEqual(
            run(cluster.LoadBalancerContract, First), ["test_another_attempt_gets_another_endpoint_where_there_is_one"]
        )

    def test_catches_a_breaker_whose_refusals_cost(self):
        self.assertIn("test_a_refusal_costs_nothing", run(cluster.CircuitBreakerContract, Leaky))

    def test_catches_a_policy_that_never_gives_up(self):
        self.assertEqual(run(retry.RetryPolicyContract, Endless), ["test_gives_up_in_the_end"])

    def test_catches_a_page_that_trusts_its_query(self):
        self.assertIn("test_answers_status_type_and_bytes", run(tool.AdminPageContract, Pages))

    def test_catches_a_codec_that_loses_the_rest(self):
        class Loses(Lines):
            def decode(self, data):
                return super().decode(data)[0], b""

        failed = run(connection.ProtocolCodecContract, Loses, frames=(b"ask 1 one\n",))
        self.assertIn("test_an_unfinished_frame_is_kept", failed)

    def test_catches_an_object_of_another_kind(self):
        for suite in SUITES:
            with self.subTest(suite.kind):
                self.assertIn("test_keeps_the_interface_of_its_kind", run(suite, object))
