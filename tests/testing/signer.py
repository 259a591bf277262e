"""A plugin of the tests' own: signs responses, and misbehaves as its configuration says."""

from meshd.api import CONTINUE, PluginType, Text, config, hookimpl, option

MESHD_API = ">=1,<2"



@config
class Sign:
    """Signs."""

    value: str = option(Text(), default="1", doc="what it says, or timer: leave one")


class Signer:
    """``x-sign`` on every response; /bad raises; after 5 s the value has a "+" more."""

    def __init__(self, config, site):
        self.value = config.value
        self.site = site
        self.timer = None
        self.signed = site.metrics.counter("sign_total", "Responses signed", ("filter",)).cell(site.name)

    def start(self):
        self.timer = self.site.clock.call_later(5, self.tick)

    def stop(self):
        if self.value != "timer" and self.timer.active():
            self.timer.cancel()

    def tick(self):
        self.value += "+"

    def on_request(self, exchange):
        if exchange.request.path == b"/bad":
            raise ValueError("bad path")
        return CONTINUE

    def on_response(self, exchange):
        self.signed.inc()
        exchange.response.headers.set(b"x-sign", self.value.encode())


SIGN = PluginType(kind="http_filter", name="sign", config=Sign, build=Signer, doc="Signs.")


@hookimpl
def meshd_plugins():
    return [SIGN]


def configuration(upstream="127.0.0.1:9", value="a"):
    """Return a configuration: one listener on a free port, signed, and one cluster."""
    router = {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
        {"match": {"path": "/direct"}, "direct_response": {"status": 200, "body": "direct"}},
        {"match": {"prefix": "/"}, "cluster": "up"}]}]}
    return {
        "listeners": [{"name": "public", "address": "127.0.0.1:0",
                       "filters": [{"sign": {"value": value}}, {"router": router}]}],
        "clusters": [{"name": "up", "endpoints": [{"address": upstream}]}],
    }
