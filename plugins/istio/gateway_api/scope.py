"""For whom rules are translated: through a Gateway's listener on a port, or in a sidecar."""

import attrs

from meshd_plugins.istio.emit import At


@attrs.frozen(eq=False)
class Scope:
    """``port`` is the listener's in the document, 0 in a sidecar; ``is_mapped`` says that the node has another there.

    ``clusters`` has ``use(host, port, subset, node)`` and the ``context``.
    """

    port: int
    is_mapped: bool
    mesh: object
    clusters: object
    node: object

    @property
    def context(self):
        """Return where faults go."""
        return self.clusters.context

    def cluster(self, backend, place):
        """Return the name of the cluster of a good Backend, at ``place``."""
        return At(place, self.clusters.use(backend.host, backend.port, "", place))
