"""What the pages read and do: the face of the daemon towards its admin API; ``meshd.service`` provides it."""

from zope.interface import Attribute, Interface


class IDaemon(Interface):
    """A running daemon. Lists are of plain dicts, ready for JSON."""

    state = Attribute("str: INITIALIZING, LIVE or DRAINING (Envoy's words for /server_info)")
    is_ready = Attribute("bool: it serves, does not drain, and /healthcheck/fail was not asked for")
    loaded = Attribute("meshd.model.snapshot.Loaded in use, or None before the first")
    runtime = Attribute("the runtime in use, or None before the first; it has ``clusters`` by name")
    generation = Attribute("int: accepted configurations so far")
    registry = Attribute("meshd.registry.Registry")
    metrics = Attribute("meshd.telemetry.metrics.Metrics")
    log = Attribute("has levels() -> dict and set_level(word, namespace); the latter raises ValueError")
    last_reload = Attribute("dict of the last reload's outcome, or None where there was none")
    started_wall = Attribute("float: epoch seconds")
    uptime_s = Attribute("float")
    world = Attribute("meshd.wire.world.World; ``secrets`` are the certificates in use")
    paths = Attribute("tuple of str: the configuration's files and folders as the command line named them")

    heir = Attribute("int: the process of the next generation, which serves already; or None")

    def listeners():
        """Return a list of dicts: name, address, bound, connections, filters."""

    def clusters(name=""):
        """Yield a dict for each cluster, or for that of this name: name, circuit_breaker, counters, endpoints."""

    def discoveries():
        """Return a list of (discovery object, live cluster), by the cluster's name."""

    def plugins():
        """Return a list of dicts: one for each plugin found."""

    def overload():
        """Return a dict: actions in force and for how many seconds, resources with pressure (percent) and figures."""

    def workload():
        """Return a dict, or None without a probe: ``state`` (healthy, unhealthy, unknown), ``reason``, ``since_s``."""

    def explain(asked):
        """Return a Deferred of what would happen to a request (``meshd.explain.asked.Asked``): plain data. Fails with
        BadQuestion where it cannot be said.
        """

    def origins():
        """Return a Deferred of a dict: path of a value -> where it came from."""

    def reload():
        """Return a Deferred of the outcome: a dict with ``accepted`` (bool), ``generation``, ``faults``..."""

    def upgrade():
        """Hand over to a new generation of processes; return a Deferred of the outcome as ``reload`` does."""

    def drain_listeners():
        """Stop accepting on all listeners; connections are told to close after their request."""

    def set_health(is_healthy):
        """Answer /ready and /healthz with 503 from now on, or no more."""

    def quit():
        """Begin to drain and exit."""

    def reopen():
        """Open log files anew."""


class IWorker(IDaemon):
    """One of several workers: it speaks for all of them."""

    def ask_all(what, query):
        """Return a Deferred of ``meshd.admin.team.Answers``: what each worker tells of ``what``."""
