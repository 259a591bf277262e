"""The native dialect: ``etc/meshd.yaml``. Files are merged section by section, then decoded into a Snapshot."""

from zope.interface import implementer

from meshd.api import IConfigDialect, PluginType, Snapshot, decode, hookimpl, merge


@implementer(IConfigDialect)
class Native:
    """meshd's own sections: node, admin, documents, listeners, clusters, telemetry, plugins, drain."""

    def accepts(self, root):
        """Take every document but a Kubernetes-style one (``apiVersion`` and ``kind``)."""
        entries = getattr(root, "entries", {})
        return not ("apiVersion" in entries and "kind" in entries)

    def load(self, roots, context):
        """Return the Snapshot of all roots together, or None after adding faults."""
        return decode(Snapshot, merge(Snapshot, roots, context), context)


def build(config, site):
    """Return the dialect; it has no configuration and needs no site."""
    return Native()


@hookimpl
def meshd_plugins():
    """Offer the native dialect."""
    return [PluginType(kind="config_dialect", name="native", build=build, doc="meshd's own configuration file.")]
