"""Outlier detection: endpoints that fail are left alone for a while, judged by the answers to real traffic.

What is known of the endpoints is kept by the cluster's name: a reload with other options goes on with it.
"""

from meshd.api import PluginType, hookimpl
from meshd_plugins.outlier_detection.config import OutlierOptions
from meshd_plugins.outlier_detection.detector import Detector
from meshd_plugins.outlier_detection.monitor import Book
from meshd_plugins.outlier_detection.tally import Tally


def build(config, site):
    """Return a Detector for the cluster ``site.name``."""
    book = site.state("worker", ("outlier_detection", site.name), Book)
    return Detector(config or OutlierOptions(), site, book, Tally(site.metrics, site.name))


@hookimpl
def meshd_plugins():
    """Offer the detector."""
    return [
        PluginType(
            kind="outlier_detector", name="outlier_detection", config=OutlierOptions, build=build,
            doc="Ejects endpoints that fail, by Envoy's rules.",
        )
    ]
