"""The dialect ``istio``: VirtualService, DestinationRule, Gateway and their kin, as Istio reads them, for this node.

``read`` makes resources of documents, ``mesh`` an index of services and rules, ``translate`` native sections of them.
"""

from zope.interface import implementer

from meshd.api import IConfigDialect, PluginType, hookimpl, is_resource


@implementer(IConfigDialect)
class Istio:
    """Documents with ``apiVersion`` and ``kind``."""

    def accepts(self, root):
        """Take every document with ``apiVersion`` and ``kind``."""
        return is_resource(root)

    def load(self, roots, context):
        """Return native sections for ``context.node``."""
        # a proxy without such documents pays nothing for some 300 classes
        from meshd_plugins.istio.mesh import Mesh
        from meshd_plugins.istio.read import read
        from meshd_plugins.istio.translate.compose import compose

        resources = read(roots, context)
        return (compose(Mesh(resources, context.once), context, roots[0]),)


def build(config, site):
    """Return the dialect; it has no configuration and needs no site."""
    return Istio()


@hookimpl
def meshd_plugins():
    """Offer the dialect."""
    return [PluginType(kind="config_dialect", name="istio", build=build, doc="Istio's traffic documents.")]
