"""A filter for meshd: greets at one path, and signs every other response."""

from meshd.api import CONTINUE, STOP, Boolean, HeaderName, PluginType, Text, config, hookimpl, option

MESHD_API = ">=1,<2"


@config
class Hello:
    """Greets at one path; every response says that it was here."""

    path: str = option(Text(pattern=r"/.*"), default="/hello", doc="where the greeting is")
    greeting: str = option(Text(minimum=1, maximum=200), default="hello", doc="what it says")
    header: str = option(HeaderName(), default="x-hello", doc="the field that responses get")
    by_name: bool = option(Boolean(), default=False, doc="greet an authenticated caller by name")

    def check(self):
        """Yield what is wrong between fields."""
        if self.by_name and "%s" not in self.greeting:
            yield "greeting", "expected %s where the name goes"


class HelloFilter:
    """One object serves every request of a chain, so nothing of a request is kept in it."""

    def __init__(self, config, site):
        self._config = config
        self._path = config.path.encode()
        self._header = config.header.encode()
        self._greeted = site.metrics.counter("hello_greetings_total", "Clients greeted", ("filter",)).cell(site.name)

    def on_request(self, exchange):
        if exchange.request.path != self._path:
            return CONTINUE
        self._greeted.inc()
        exchange.reply(200, self._greeting(exchange.identity).encode() + b"\n", detail="hello")
        return STOP

    def on_response(self, exchange):
        exchange.response.headers.set(self._header, b"1")

    def _greeting(self, identity):
        if not self._config.by_name:
            return self._config.greeting
        return self._config.greeting.replace("%s", identity.name if identity else "stranger")


@hookimpl
def meshd_plugins():
    return [PluginType(kind="http_filter", name="hello", config=Hello, build=HelloFilter, doc="Greets.")]
