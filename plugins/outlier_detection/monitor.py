"""What is known of one endpoint, and of all endpoints of one cluster (``Book``); it outlives reloads. The detector
reads and writes both.
"""


class Rate:
    """Results of this interval, and of the one before, which is judged."""

    __slots__ = ("total", "success", "last_total", "last_success")

    def __init__(self):
        self.total = self.success = self.last_total = self.last_success = 0

    def turn(self):
        """An interval has ended."""
        self.last_total, self.last_success = self.total, self.success
        self.total = self.success = 0

    @property
    def percent(self):
        """The success rate of the last interval in percent; ``last_total`` must not be 0."""
        return 100.0 * self.last_success / self.last_total


class Monitor:
    """``failures`` are consecutive ones by kind of ejection. Times are monotonic seconds, None where it never was.

    ``ejected_s`` is set while it is ejected, for the reason ``reason``. ``backoff`` times the base time is how long.
    """

    __slots__ = ("endpoint", "server", "gateway", "local", "external_rate", "local_rate", "ejections", "backoff",
                 "ejected_s", "unejected_s", "jitter_s", "reason")

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.server = self.gateway = self.local = 0
        self.external_rate = Rate()
        self.local_rate = Rate()
        self.ejections = self.backoff = 0
        self.ejected_s = self.unejected_s = None
        self.jitter_s = 0.0
        self.reason = ""

    def forgive(self):
        """Begin to count consecutive failures anew."""
        self.server = self.gateway = self.local = 0


class Book:
    """``monitors`` by address. ``owners`` are the detectors that use it, of old and new runtimes: the last one acts."""

    def __init__(self):
        self.monitors = {}
        self.owners = []

    def of(self, endpoint):
        """Return the monitor of an endpoint."""
        found = self.monitors.get(endpoint.address)
        if found is None:
            found = self.monitors[endpoint.address] = Monitor(endpoint)
        return found

    @property
    def active(self):
        """How many are ejected."""
        return sum(one.ejected_s is not None for one in self.monitors.values())

    def keep(self, endpoints):
        """Forget those that are no endpoints any more."""
        known = {one.address: one for one in endpoints}
        for address in [one for one in self.monitors if one not in known]:
            del self.monitors[address]
        return known
