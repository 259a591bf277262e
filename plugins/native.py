"""The native dialect: ``etc/meshd.yaml``. Its documents are the form that all others are turned into."""

from zope.interface import implementer

from meshd.api import IConfigDialect, PluginType, encode_short, hookimpl, is_resource


@implementer(IConfigDialect)
class Native:
    """meshd's own sections: node, admin, documents, listeners, clusters, telemetry, plugins, drain."""

    def accepts(self, root):
        """Take every document but a Kubernetes-style one (``apiVersion`` and ``kind``)."""
        return not is_resource(root)

    def load(self, roots, context):
        """Return the documents as they are."""
        return roots

    def write(self, snapshot):
        """Return one document, without what is at its default."""
        return [encode_short(snapshot)], []


def build(config, site):
    """Return the dialect; it has no configuration and needs no site."""
    return Native()


@hookimpl
def meshd_plugins():
    """Offer the native dialect."""
    return [PluginType(kind="config_dialect", name="native", build=build, doc="meshd's own configuration file.")]
