"""The outlier detector of one cluster: told of each attempt's end, it counts, ejects, and sweeps now and then.

The rules are Envoy's. With several workers each counts what it sees itself; an ejection, and its end, are the host's:
they are told to the others, and a worker that starts asks for those in force.
"""

from itertools import islice

from zope.interface import implementer

from meshd.api import IOutlierDetector, flag, health
from meshd_plugins.outlier_detection import formula

SERVER, GATEWAY, LOCAL = "consecutive_5xx", "consecutive_gateway_failure", "consecutive_local_origin_failure"
RATE, LOCAL_RATE = "success_rate", "local_origin_success_rate"
FAILURES, LOCAL_FAILURES = "failure_percentage", "local_origin_failure_percentage"
GATEWAY_ERRORS = frozenset((502, 503, 504))
SLICE = 256
"""Endpoints looked at in one turn of the reactor."""


@implementer(IOutlierDetector)
class Detector:
    """``book`` is what is known of the endpoints; ``tally`` has the metrics."""

    def __init__(self, options, site, book, tally):
        self._options = options
        self._errors = options.errors
        self._enforcing = {
            SERVER: options.enforcing_consecutive_5xx, GATEWAY: options.enforcing_consecutive_gateway_failure,
            LOCAL: options.enforcing_consecutive_local_origin_failure, RATE: options.enforcing_success_rate,
            LOCAL_RATE: options.enforcing_local_origin_success_rate,
            FAILURES: options.enforcing_failure_percentage,
            LOCAL_FAILURES: options.enforcing_failure_percentage_local_origin,
        }
        self._clock, self._random, self._log = site.clock, site.random, site.log
        self._is_split = options.split_external_local_origin_errors
        self._book = book
        self._monitors = book.monitors
        self._tally = tally
        self._peers = site.peers(f"outlier_detection {site.name}")
        self._cluster = None
        self._call = None

    def watch(self, cluster):
        """The cluster is this one."""
        self._cluster = cluster

    def start(self):
        """Sweep from now on, and ask the other workers what is ejected."""
        self._book.owners.append(self)
        self._token = str(self._random.getrandbits(64))
        self._peers.begin(self._heard)
        self._peers.tell({"do": "ask", "from": self._token})
        if self._options.successful_active_health_check_uneject_host:
            self._cluster.on_check(self._checked)
        self._warn()
        self._arm()

    def _warn(self):
        """Say it where the limits allow no ejection at all."""
        total, options = len(self._cluster.endpoints), self._options
        if total and not formula.may_eject(0, total, options.max_ejection_percent, options.always_eject_one_host):
            self._log.warn(
                "outlier detection: {cluster}: {percent} % of {total} endpoints is none: nothing is ever ejected: "
                "raise max_ejection_percent, or set always_eject_one_host", cluster=self._cluster.name,
                percent=options.max_ejection_percent, total=total)

    def stop(self):
        """Sweep no more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._peers.end()
        if self in self._book.owners:
            self._book.owners.remove(self)
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            cluster.on_check(self._checked, False)
            for monitor in self._book.monitors.values() if not self._book.owners else ():
                cluster.mark(monitor.endpoint, health.FAILED_OUTLIER_CHECK, False)

    @property
    def _acts(self):
        """Whether a newer detector of the cluster has not taken over."""
        return self._cluster is not None and bool(self._book.owners) and self._book.owners[-1] is self

    # Results

    def on_result(self, endpoint, outcome):
        """One attempt has ended; see ``IOutlierDetector``."""
        monitor = self._monitors.get(endpoint.address) or self._book.of(endpoint)
        status = outcome.status
        if status:
            if self._is_split:
                self._count_local(monitor, True)
            rate = monitor.external_rate
            rate.total += 1
            if status not in self._errors:
                rate.success += 1
                monitor.server = monitor.gateway = 0
            else:
                self._count_failure(monitor, status)
        elif outcome.flag & flag.UO:
            return  # nothing was asked of it
        elif self._is_split:
            self._count_local(monitor, False)
        else:
            monitor.external_rate.total += 1
            self._count_failure(monitor, 504 if outcome.flag & flag.UT else 503)

    def _count_failure(self, monitor, status):
        if status in GATEWAY_ERRORS:
            monitor.gateway += 1
            if monitor.gateway == self._options.consecutive_gateway_failure:
                self._found(monitor, GATEWAY)
                monitor.gateway = 0
        else:
            monitor.gateway = 0
        monitor.server += 1
        if monitor.server == self._options.consecutive_5xx:
            self._found(monitor, SERVER)
            monitor.server = 0

    def _count_local(self, monitor, is_well):
        rate = monitor.local_rate
        rate.total += 1
        if is_well:
            rate.success += 1
            monitor.local = 0
            return
        monitor.local += 1
        if monitor.local == self._options.consecutive_local_origin_failure:
            self._found(monitor, LOCAL)
            monitor.local = 0

    # Ejection

    def _found(self, monitor, reason, **more):
        """An outlier: eject it, where the limits and chance allow."""
        if monitor.ejected_s is not None or self._cluster is None:
            return
        options = self._options
        self._tally.detected(reason)
        total = len(self._cluster.endpoints)
        if not formula.may_eject(
            self._book.active, total, options.max_ejection_percent, options.always_eject_one_host
        ):
            self._tally.overflow.inc()
            return
        if self._random.random() * 100.0 >= self._enforcing[reason]:
            return
        monitor.backoff = formula.grown(monitor.backoff, options.base_ejection_time_s, options.max_s)
        monitor.ejections += 1
        jitter_s = self._random.random() * options.max_ejection_time_jitter_s
        self._eject(monitor, reason, self._clock.now(), jitter_s, more)
        self._tally.enforced(reason)
        self._log.warn(
            "outlier detection: {cluster}: {address} is ejected for {seconds:g} s: {reason} (ejection {number})",
            cluster=self._cluster.name, address=monitor.endpoint.address, seconds=round(self._left_s(monitor), 1),
            reason=reason, number=monitor.ejections)
        self._peers.tell({"do": "eject", **self._row(monitor)})

    def _eject(self, monitor, reason, since_s, jitter_s, more):
        monitor.ejected_s, monitor.jitter_s, monitor.reason = since_s, jitter_s, reason
        wall_s = self._clock.wall() - self._clock.now()
        note = {"flag": "failed_outlier_check", "reason": reason, "since_s": round(wall_s + since_s, 3),
                "until_s": round(wall_s + self._clock.now() + self._left_s(monitor), 3),
                "ejections": monitor.ejections, **more}
        self._cluster.mark(monitor.endpoint, health.FAILED_OUTLIER_CHECK, True, note)
        self._tally.active.set(self._book.active)

    def _left_s(self, monitor):
        """Return how long the ejection will last from now."""
        options = self._options
        whole_s = formula.ejection_s(monitor.backoff, options.base_ejection_time_s, options.max_s, monitor.jitter_s)
        return monitor.ejected_s + whole_s - self._clock.now()

    def _uneject(self, monitor, why):
        """Let it serve again; with clean counts, so that a few errors do not eject it anew."""
        if self._end_ejection(monitor):
            self._log.info("outlier detection: {cluster}: {address} is used again: {why}", cluster=self._cluster.name,
                           address=monitor.endpoint.address, why=why)
            self._peers.tell({"do": "uneject", "address": monitor.endpoint.address})

    def _end_ejection(self, monitor):
        if monitor.ejected_s is None:
            return False
        monitor.ejected_s = None
        monitor.unejected_s = self._clock.now()
        monitor.forgive()
        self._cluster.mark(monitor.endpoint, health.FAILED_OUTLIER_CHECK, False)
        self._tally.active.set(self._book.active)
        return True

    def _checked(self, address, is_well):
        """An active check has ended."""
        monitor = self._book.monitors.get(address)
        if is_well and monitor is not None and monitor.ejected_s is not None and self._acts:
            self._uneject(monitor, "an active check passed")

    # Sweeps

    def _arm(self):
        self._call = self._clock.call_later(self._options.interval_s, self._begin)

    def _begin(self):
        """An interval has ended."""
        self._call = None
        if self._acts:
            self._go_on(self._sweep())
        else:
            self._arm()

    def _go_on(self, steps):
        if sum(1 for _ in islice(steps, SLICE)) == SLICE:
            self._call = self._clock.call_later(0, self._go_on, steps)
        else:
            self._arm()

    def _sweep(self):
        """End ejections, judge rates, let backoffs shrink; one endpoint for each step."""
        now = self._clock.now()
        known = self._book.keep(self._cluster.endpoints)
        monitors = list(self._book.monitors.values())
        for monitor in monitors:
            monitor.endpoint = known.get(monitor.endpoint.address, monitor.endpoint)
            if monitor.ejected_s is not None and self._left_s(monitor) <= 0:
                self._uneject(monitor, "its time is over")
            monitor.external_rate.turn()
            monitor.local_rate.turn()
            yield
        yield from self._judge(monitors, "external_rate", RATE, FAILURES)
        yield from self._judge(monitors, "local_rate", LOCAL_RATE, LOCAL_FAILURES)
        for monitor in monitors:
            if monitor.ejected_s is None and monitor.unejected_s is not None and monitor.backoff:
                if now - monitor.unejected_s >= self._options.interval_s:
                    monitor.backoff -= 1
            yield
        self._tally.active.set(self._book.active)

    def _judge(self, monitors, rate, by_mean, by_threshold):
        """Compare the endpoints' rates with one another, and with the threshold."""
        options = self._options
        compared, rated = [], []
        if len(self._cluster.endpoints) >= min(
            options.success_rate_minimum_hosts, options.failure_percentage_minimum_hosts
        ):
            for monitor in monitors:
                counts = getattr(monitor, rate)
                if monitor.ejected_s is None and counts.last_total:
                    if counts.last_total >= options.success_rate_request_volume:
                        compared.append((monitor, counts.percent))
                    if counts.last_total >= options.failure_percentage_request_volume:
                        rated.append((monitor, counts.percent))
                yield
        if compared and len(compared) >= options.success_rate_minimum_hosts:
            mean, threshold = formula.success_rate_threshold(
                [percent for _, percent in compared], options.success_rate_stdev_factor)
            for monitor, percent in compared:
                if percent < threshold:
                    self._found(monitor, by_mean, success_rate=round(percent, 2), average=round(mean, 2),
                                threshold=round(threshold, 2))
                yield
        if rated and len(rated) >= options.failure_percentage_minimum_hosts:
            for monitor, percent in rated:
                if formula.is_failing(percent, options.failure_percentage_threshold):
                    self._found(monitor, by_threshold, success_rate=round(percent, 2))
                yield

    # The other workers

    def _row(self, monitor):
        return {"address": monitor.endpoint.address, "reason": monitor.reason, "ejections": monitor.ejections,
                "backoff": monitor.backoff, "age_s": self._clock.now() - monitor.ejected_s,
                "jitter_s": monitor.jitter_s}

    def _heard(self, message):
        """Another worker has said something."""
        if not self._acts:
            return
        if message["do"] == "ask":
            rows = [self._row(one) for one in self._book.monitors.values() if one.ejected_s is not None]
            if rows:
                self._peers.tell({"do": "known", "to": message["from"], "rows": rows})
        elif message["do"] == "known":
            for row in message["rows"] if message["to"] == self._token else ():
                self._take(row)
        elif message["do"] == "eject":
            self._take(message)
        elif (monitor := self._book.monitors.get(message["address"])) is not None:
            self._end_ejection(monitor)

    def _take(self, row):
        """Another worker has ejected an endpoint: it is ejected here too."""
        endpoint = next((one for one in self._cluster.endpoints if one.address == row["address"]), None)
        if endpoint is None:
            return
        monitor = self._book.of(endpoint)
        if monitor.ejected_s is None:
            monitor.ejections, monitor.backoff = row["ejections"], row["backoff"]
            self._eject(monitor, row["reason"], self._clock.now() - row["age_s"], row["jitter_s"], {})
