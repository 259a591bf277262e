"""The dialect ``istio``: VirtualService, DestinationRule, Gateway and their kin, as Istio reads them, for this node.

``read`` makes resources of documents, ``mesh`` an index of services and rules, ``translate`` native sections of them;
``analysis`` says what is in them that is surely not meant.
"""

from zope.interface import implementer

from meshd.api import IConfigDialect, PluginType, hookimpl, is_resource


@implementer(IConfigDialect)
class Istio:
    """Documents with ``apiVersion`` and ``kind``."""

    @property
    def codes(self):
        """Return what the codes of its own findings mean."""
        from meshd_plugins.istio.analysis.codes import CODES
        return CODES

    def accepts(self, root):
        """Take every document with ``apiVersion`` and ``kind``."""
        return is_resource(root)

    def load(self, roots, context):
        """Return native sections for ``context.node``."""
        # a proxy without such documents pays nothing for some 300 classes
        from meshd_plugins.istio.analysis import analyze
        from meshd_plugins.istio.mesh import Mesh
        from meshd_plugins.istio.read import read
        from meshd_plugins.istio.translate.compose import compose

        mesh = Mesh(read(roots, context), context.once)
        analyze(mesh, context)
        return (compose(mesh, context, roots[0]),)

    def write(self, snapshot):
        """Return Gateway, VirtualService, ServiceEntry and DestinationRule documents."""
        from meshd_plugins.istio.write import write

        return write(snapshot)

    def status(self, roots, context):
        """Return what becomes of Gateway API documents, one dict for each, as the kind's ``status`` has it."""
        from meshd_plugins.istio.gateway_api.plan import Plan
        from meshd_plugins.istio.gateway_api.status import status
        from meshd_plugins.istio.mesh import Mesh
        from meshd_plugins.istio.read import read

        return status(Plan(Mesh(read(roots, context)), context.node))


def build(config, site):
    """Return the dialect; it has no configuration and needs no site."""
    return Istio()


@hookimpl
def meshd_plugins():
    """Offer the dialect."""
    return [PluginType(kind="config_dialect", name="istio", build=build, doc="Istio's traffic documents.")]
