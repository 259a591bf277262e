"""What a route may say of recovery from failures beside its retry policy: hedging, mirrors, Envoy's fields."""

from meshd.api import Boolean, Duration, Nested, Number, Reference, Size, Text, config, option
from meshd_plugins.router.edit_config import RequestEdits

ASKED = RequestEdits()
HOST = Text(pattern=r"[!-.0-~]+")


@config
class Hedge:
    """Further attempts while the first goes on (Envoy's ``hedge_policy``); the first good answer is taken."""

    hedge_on_per_try_timeout: bool = option(
        Boolean(), default=False,
        doc="at the per-try timeout, make the next attempt beside the one that is late, in place of resetting it")


@config
class Mirror:
    """A copy of the route's requests goes to another cluster, whose answers are thrown away."""

    cluster: str = option(Reference("cluster"), doc="cluster that gets the copies")
    percent: float = option(Number(maximum=100.0), default=100.0, doc="share of the requests, to 0.0001")
    host_rewrite: str | None = option(HOST, default=None, doc="Host of the copies, in place of the request's")
    request_headers: RequestEdits = option(Nested(RequestEdits), default=ASKED, doc="edits of the copies")
    disable_shadow_host_suffix_append: bool = option(
        Boolean(), default=False, doc="do not put -shadow behind the host's name")
    timeout_s: float = option(
        Duration(minimum=0.001, maximum=3600.0), default=15.0, doc="until the copy's answer is whole; then it is cut")
    body_limit_bytes: int = option(Size(maximum=2**26), default=65536, doc="requests with longer bodies are not copied")
    memory_bytes: int = option(
        Size(maximum=2**32), default=2**24, doc="bodies of copies in flight, for one worker; beyond, none is copied")
