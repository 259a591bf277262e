"""The metrics of outlier detection, under Envoy's names; the detector counts."""

PREFIX = "envoy_cluster_outlier_detection_ejections_"


class Tally:
    """``active`` is how many endpoints are ejected on this host, ``overflow`` counts those that a limit has spared."""

    def __init__(self, metrics, name):
        self._metrics = metrics
        self._name = name
        self.active = metrics.gauge(
            f"{PREFIX}active", "endpoints that are ejected", ("cluster_name",), scope="host").cell(name)
        self.overflow = self._cell("overflow", "ejections that max_ejection_percent has prevented")
        self._total = self._cell("enforced_total", "ejections, of every kind")

    def _cell(self, name, doc):
        return self._metrics.counter(PREFIX + name, doc, ("cluster_name",)).cell(self._name)

    def detected(self, reason):
        """An outlier was found, ejected or not."""
        self._cell(f"detected_{reason}", "outliers found, ejected or not").inc()

    def enforced(self, reason):
        """One was ejected."""
        self._total.inc()
        self._cell(f"enforced_{reason}", "ejections of this kind").inc()
