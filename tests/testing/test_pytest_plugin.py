"""The fixtures in a stranger's project, run by pytest; and what the plugin costs those who do not want it."""

import re
from unittest import TestCase

from tests.testing.stranger import Project

TESTS = '''
    import signer
    from meshd.testing import NEVER
    from signer import SIGN, configuration

    def test_serves(mesh, upstream, client, assert_metrics):
        api = upstream([503, "hi"])
        proxy = mesh(configuration(api.address, "a"), plugins=[signer])
        with assert_metrics(proxy, {'sign_total{filter="sign"}': +2}):
            with client(proxy) as one:
                assert one.get("/").status == 503
                assert one.get("/").headers["x-sign"] == "a"
        assert [request.path for request in api.requests] == ["/", "/"]
        assert proxy.reload(configuration(api.address, "b")).is_accepted

    def test_time(mesh, site, clock):
        proxy = mesh(configuration(), plugins=[SIGN], clock=clock)
        alone = signer.Signer(signer.Sign(value="x"), site)
        alone.start()
        clock.advance(5)
        assert (alone.value, proxy.get("/direct").headers["x-sign"]) == ("x+", "a+")

    def test_ends_in_any_order(client, upstream, mesh):
        api = upstream(NEVER)
        asked = client(mesh(configuration(api.address), plugins=[SIGN]))
        asked.send(b"GET / HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n")
        api.wait(1)
'''
BAD = '''
    from signer import SIGN, configuration

    def test_leaks(mesh):
        mesh(configuration(value="timer"), plugins=[SIGN])

    def test_fails(mesh):
        proxy = mesh(configuration(value="timer"), plugins=[SIGN])
        assert proxy.get("/direct").status == 201

    def test_raises(mesh):
        assert mesh(configuration(), plugins=[SIGN]).get("/bad").status == 500

    def test_metrics(mesh, assert_metrics):
        proxy = mesh(configuration(), plugins=[SIGN])
        with assert_metrics(proxy, {'sign_total{filter="sing"}': +1}, limit_s=0):
            proxy.get("/direct")

    def test_configuration(mesh):
        mesh("""
            listeners:
              - name: public
                adress: 127.0.0.1:0
        """)
'''


class FixtureTest(TestCase):
    def setUp(self):
        self.project = Project(self)

    def test_a_strangers_tests_pass(self):
        self.project.write("test_good.py", TESTS)
        code, text = self.project.pytest()
        self.assertIn("3 passed", text)
        self.assertEqual(code, 0, text)

    def test_what_goes_wrong_is_told(self):
        self.project.write("test_bad.py", BAD)
        code, text = self.project.pytest()
        self.assertEqual(code, 1)
        self.assertIn("3 failed, 2 passed, 2 errors", text)
        for part in (
            "a timer: signer.Signer.tick: expected stop() to cancel it", "ValueError: bad path",
            "near: sign_total{filter=\"sign\"}", 'sign_total{filter="sign"} +1', "--> mesh.yaml:4:5",
            "adress: 127.0.0.1:0", 'did you mean "address"?',
        ):
            self.assertIn(part, text)

    def test_a_test_that_failed_is_not_told_of_leaks_but_shown_the_log(self):
        self.project.write("test_bad.py", BAD)
        _, text = self.project.pytest("-k", "test_fails")
        self.assertIn("1 failed", text)
        self.assertNotIn("error", text.splitlines()[-1])
        self.assertRegex(text, r"(?s)Captured stderr teardown.*meshd \S+ ready: public 127\.0\.0\.1:\d+")

    def test_the_fixtures_are_listed_with_what_they_give(self):
        _, text = self.project.pytest("--fixtures")
        found = re.findall(r"(?m)^(\w+) -- .*meshd/testing/fixture.py:\d+\n +meshd: ", text)
        self.assertEqual(
            sorted(found), ["assert_metrics", "client", "clock", "mesh", "mesh_kit", "site", "upstream"])


class NeighbourTest(TestCase):
    def setUp(self):
        self.project = Project(self)

    def test_it_can_be_switched_off(self):
        self.project.write("test_one.py", "def test_one(): pass\ndef test_two(mesh): pass\n")
        code, text = self.project.pytest("-p", "no:meshd")
        self.assertIn("1 passed, 1 error", text)
        self.assertIn("fixture 'mesh' not found", text)

    def test_a_fixture_of_another_plugin_goes_first(self):
        self.project.write("other.py", "import pytest\n@pytest.fixture\ndef client(): return 'theirs'\n")
        self.project.write("test_one.py", "def test_one(client, clock): assert client == 'theirs' and clock.now()\n")
        code, text = self.project.pytest("-p", "other")
        self.assertEqual(code, 0, text)

    def test_a_projects_own_fixture_may_build_on_ours(self):
        self.project.write("conftest.py", """
            import pytest
            @pytest.fixture
            def clock(clock):
                clock.advance(5)
                return clock
        """)
        self.project.write("test_one.py", "def test_one(clock): assert clock.now() == 1005\n")
        code, text = self.project.pytest()
        self.assertEqual(code, 0, text)

    def test_who_does_not_use_it_does_not_load_it(self):
        self.project.write("test_one.py", """
            import sys
            def test_one():
                assert "meshd.testing.fixture" in sys.modules
                heavy = ("twisted", "attr", "yaml", "zope", "pluggy_", "meshd.api", "meshd.testing.mesh")
                assert [name for name in heavy if name in sys.modules] == []
        """)
        code, text = self.project.pytest()
        self.assertEqual(code, 0, text)

    def test_meshd_is_not_rewritten(self):
        self.project.write("test_one.py", """
            def test_one(pytestconfig):
                from importlib.util import find_spec
                from meshd.testing import mesh
                assert "pytest" not in type(mesh.__loader__).__module__
                assert "pytest" in type(find_spec("test_one").loader).__module__
        """)
        self.project.write("marking.py", "import pytest\npytest.register_assert_rewrite('meshd', 'meshd_plugins')\n")
        code, text = self.project.pytest("-p", "marking")
        self.assertEqual(code, 0, text)

    def test_loading_it_takes_less_than_10_ms_of_cpu(self):
        code = ("import pytest, time; began = time.process_time(); import meshd.testing.pytest_plugin; "
                "import meshd.testing.fixture; print(time.process_time() - began)")
        spans = [float(self.project.python("-c", code)[1]) for _ in range(5)]
        self.assertLess(min(spans), 0.010)


class WithoutPytestTest(TestCase):
    def test_the_kit_needs_no_pytest(self):
        code = ("import sys; sys.modules['pytest'] = None; import meshd.testing as t; "
                "[getattr(t, name) for name in t.__all__]; print('_pytest' in sys.modules)")
        self.assertEqual(Project(self).python("-c", code), (0, "False\n"))

    def test_a_name_that_is_not_there_is_an_attribute_error(self):
        code, text = Project(self).python("-c", "from meshd.testing import Mash")
        self.assertEqual(code, 1)
        self.assertIn("ImportError: cannot import name 'Mash' from 'meshd.testing'", text)
