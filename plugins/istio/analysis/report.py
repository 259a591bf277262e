"""Where analyzers say what they have found: severity by code, the document's own wish to be spared, places.

    report.add("IST0101", resource, value(one, "host"), path, 'referenced host not found: "web"', hint="...")
"""

from functools import lru_cache

from meshd.api import ERROR, Mapping, Related
from meshd_plugins.istio.analysis.codes import severity_of
from meshd_plugins.istio.analysis.place import Workloads

SUPPRESS = "galley.istio.io/analyze-suppress"
MAX_LISTED = 10


class Report:
    """``mesh`` is what is analysed; ``node`` who this proxy is; ``is_strict`` means istiod's severity exactly.

    ``find`` and ``resolve`` are the mesh's, remembered; ``workloads`` those that are known. ``hosts`` are the
    hosts and names of all services, ``wildcards`` the hosts among them that are wildcards.
    """

    def __init__(self, mesh, context):
        self.mesh = mesh
        self.node = context.node
        self.is_strict = context.is_strict
        self._context = context
        self.find = lru_cache(maxsize=None)(mesh.find)
        self.resolve = lru_cache(maxsize=None)(mesh.resolve)
        self.workloads = Workloads(mesh, context.node)

        hosts = {one.host for one in mesh.services}
        self.hosts = sorted(hosts | {one.resource.name for one in mesh.services})
        self.wildcards = sorted(one for one in hosts if one.startswith("*"))

    def add(self, code, resource, node, path, message, *, severity=None, **more):
        """Add a finding on ``resource`` at ``node``; ``more`` is hint, notes, related, help.

        ``severity`` is that of the code unless it is given; with ``is_strict`` an error of istioctl's stays one.
        """
        if _is_spared(resource, code):
            return
        own = severity_of(code)
        if severity is None or (self.is_strict and own == ERROR):
            severity = own
        self._context.fault(code, node, path, message, severity, is_analysis=True, subject=resource.title, **more)

    def failed(self, name, error):
        """Say that an analyzer failed unexpectedly; the others go on, and the configuration is in force."""
        for resource in self.mesh.resources[:1]:
            self.add("IST0001", resource, name_of(resource), "metadata.name",
                     f"internal error: analyzer {name} failed: {error!r}", hint="somewhere in these documents",
                     help="report this with the documents; all else was checked")

    def guess(self, word, known):
        """Return ``did you mean "..."?`` where one of ``known`` was probably meant, else ''."""
        found = self._context.guess(word, known)
        return f'did you mean "{found}"?' if found else ""


def _is_spared(resource, code):
    """Say whether the document's annotation asks to leave this code out (``*`` for all), as istioctl does."""
    words = [word.strip() for word in resource.annotations.get(SUPPRESS, "").split(",")]
    return code in words or "*" in words


def value(one, key):
    """Return the node of the value of ``key`` in a decoded object, or where the object begins."""
    return start(one.node.get(key) or one.node)


def key(one, name):
    """Return the node of the key ``name`` in a decoded object, or where the object begins."""
    return key_in(one.node, name)


def key_in(node, name):
    """Return the node of the key ``name`` of a mapping, or where the mapping begins."""
    entry = node.entries.get(name)
    return entry[0] if entry is not None else start(node)


def start(node):
    """Return the first key of a mapping, which has a place that can be underlined; another node as it is."""
    entry = next(iter(node.entries.values()), None) if type(node) is Mapping else None
    return entry[0] if entry is not None else node


def item(one, name, place):
    """Return the node of an item of the list ``name`` in a decoded object, or of what is there."""
    found = one.node.get(name)
    items = getattr(found, "items", ())
    return start(items[place] if place < len(items) else found or one.node)


def name_of(resource):
    """Return the node of a document's name."""
    metadata = resource.node.get("metadata")
    found = metadata.get("name") if type(metadata) is Mapping else None
    return found or resource.node


def there(resource, text=""):
    """Return a document as another place of a finding."""
    return Related(name_of(resource).mark(), text or resource.title)


def listed(words):
    """Return words by commas, not too many."""
    words = list(words)
    rest = f" and {len(words) - MAX_LISTED} more" if len(words) > MAX_LISTED else ""
    return ", ".join(words[:MAX_LISTED]) + rest
