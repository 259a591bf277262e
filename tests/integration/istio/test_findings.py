"""A daemon with findings runs and says so in its log, in a few lines; a reload too."""

import contextlib

from tests.integration.istio.bookinfo import GATEWAY, Bookinfo, Proxy

LOST = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: ["*"]
  gateways: [bookinfo-gateway]
  http:
  - match: [{uri: {prefix: /lost}}]
    route: [{destination: {host: nowhere.test}}]
  - route: [{destination: {host: details}}]
"""


def test_findings_are_logged_and_the_rest_is_served():
    with contextlib.closing(Bookinfo({"details": ("v1",)})) as mesh:
        with Proxy([GATEWAY, LOST], mesh.entries()) as proxy:
            assert proxy.get("/a")[0] == 200
            assert proxy.get("/lost")[0] == 503
            log = proxy.log()
            assert 'configuration: ' in log and 'referenced host not found: "nowhere.test"' in log
            assert "[IST0101]" in log and "MSH0405" not in log
            proxy.put("001", LOST.replace("nowhere.test", "elsewhere.test"))
            outcome = proxy.ctl("reload", "-o", "json")
            assert "elsewhere.test" in proxy.log(), outcome
            assert proxy.get("/a")[0] == 200
