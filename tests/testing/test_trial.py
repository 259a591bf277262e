"""The kit under trial: the proxy has a thread of its own, beside trial's reactor; and under unittest."""

from unittest import TestCase

from tests.testing.stranger import Project

TESTS = '''
    from twisted.internet import reactor
    from twisted.internet.defer import inlineCallbacks
    from twisted.internet.protocol import Factory, Protocol
    from twisted.internet.threads import deferToThread
    from twisted.trial.unittest import TestCase

    import signer
    from meshd.testing import MeshMixin

    class Server(Protocol):
        def dataReceived(self, data):
            self.transport.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: 5\\r\\n\\r\\ntrial")
            self.transport.loseConnection()

    class SignTest(MeshMixin, TestCase):
        def proxy(self, *args, **options):
            return self.mesh(signer.configuration(*args, **options), plugins=[signer])

        def test_a_test_may_block(self):
            api = self.upstream("hi")
            proxy = self.proxy(api.address)
            with self.assert_metrics(proxy, {"sign_total": +1}):
                self.assertEqual(self.client(proxy).get("/").body, b"hi")

        @inlineCallbacks
        def test_a_test_may_use_trials_reactor(self):
            port = reactor.listenTCP(0, Factory.forProtocol(Server), interface="127.0.0.1")
            self.addCleanup(port.stopListening)
            proxy = self.proxy(f"127.0.0.1:{port.getHost().port}")
            answers = yield deferToThread(lambda: [proxy.get("/").body for _ in range(3)])
            self.assertEqual(answers, [b"trial"] * 3)

        def test_an_expected_fault_is_flushed_for_both(self):
            proxy = self.proxy()
            self.assertEqual(proxy.get("/bad").status, 500)
            self.assertEqual(len(self.flush_faults(proxy, ValueError)), 1)

        def test_time(self):
            proxy = self.mesh(signer.configuration(), plugins=[signer], clock=self.clock)
            self.clock.advance(5)
            self.assertEqual(proxy.get("/direct").headers["x-sign"], "a+")
'''
BAD = '''
    class BadTest(MeshMixin, TestCase):
        def test_leaks(self):
            self.mesh(signer.configuration(value="timer"), plugins=[signer])

        def test_raises(self):
            self.mesh(signer.configuration(), plugins=[signer]).get("/bad")
'''


class TrialTest(TestCase):
    def setUp(self):
        self.project = Project(self)

    def test_a_strangers_tests_pass(self):
        self.project.write("test_sign.py", TESTS)
        code, text = self.project.trial("test_sign")
        self.assertEqual(code, 0, text)
        self.assertIn("PASSED (successes=4)", text)

    def test_what_goes_wrong_is_told(self):
        self.project.write("test_sign.py", TESTS + BAD)
        code, text = self.project.trial("test_sign")
        self.assertEqual(code, 1)
        self.assertIn("FAILED (errors=2, successes=4)", text)
        self.assertIn("a timer: signer.Signer.tick: expected stop() to cancel it", text)
        self.assertIn("ValueError: bad path", text)

    def test_unittest_runs_them_too(self):
        self.project.write("test_sign.py", (TESTS + BAD).replace("twisted.trial.unittest", "unittest"))
        code, text = self.project.python("-m", "unittest", "-k", "block", "-k", "flushed", "-k", "test_time")
        self.assertEqual(code, 0, text)
        self.assertIn("Ran 3 tests", text)
