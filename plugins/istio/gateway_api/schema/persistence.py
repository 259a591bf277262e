"""Session persistence of HTTPRoute and GRPCRoute rules (experimental): checked, not in force."""

from meshd.api import Choice, Nested, Text, camel_config, option
from meshd_plugins.istio.gateway_api.schema.duration import TIME, form_faults
from meshd_plugins.istio.gateway_api.schema.reference import HEADER_NAME


@camel_config
class CookieConfig:
    """The cookie of a session."""

    name: str | None = option(HEADER_NAME, default=None, doc="its name")
    path: str = option(Text(maximum=1024), default="/", doc="its path")
    lifetime_type: str = option(Choice(("Permanent", "Session")), default="Session", doc="how long it lives")


@camel_config
class HeaderConfig:
    """The field of a session."""

    name: str = option(HEADER_NAME, doc="its name")


@camel_config
class SessionPersistence:
    """How a client stays with one endpoint."""

    absolute_timeout_s: float | None = option(TIME, default=None, doc="the session's end")
    type: str = option(Choice(("Cookie", "Header")), default="Cookie", doc="what carries it")
    cookie: CookieConfig | None = option(Nested(CookieConfig), default=None, doc="the cookie")
    header: HeaderConfig | None = option(Nested(HeaderConfig), default=None, doc="the field")

    def check(self):
        """Yield faults between fields."""
        yield from form_faults(self, {"absolute_timeout_s": "absoluteTimeout"})
        for word, name in (("Cookie", "cookie"), ("Header", "header")):
            if self.type == word and getattr(self, name) is None:
                yield name, f"expected {name} with type {word}"
            elif self.type != word and getattr(self, name) is not None:
                yield name, f"expected no {name} with type {self.type}"
        is_permanent = self.cookie is not None and self.cookie.lifetime_type == "Permanent"
        if is_permanent and self.absolute_timeout_s is None:
            yield "absolute_timeout_s", "expected absoluteTimeout beside a permanent cookie"
