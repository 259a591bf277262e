"""The part of Kubernetes' API that is documented at https://kubernetes.io/docs/reference/using-api/api-concepts/:
objects with resource versions, lists in pieces, watches with bookmarks, 410 for a version that is not kept any more.
"""

import contextlib
import time

from tests.integration.harness.rest import Rest, Said

BOOKMARK_S = 0.5


class ScriptedKubernetes(Rest):
    """``objects`` are by (collection, name); ``events`` are (version, collection, type, object), in order."""

    def __init__(self):
        self.version = 1000
        self.oldest = 1000
        self.objects = {}
        self.events = []
        self.page = 500
        self.is_held = False
        super().__init__()

    def restart(self):
        """Begin without anything, as a cluster that was made anew."""
        self.version, self.oldest, self.objects, self.events = 10, 10, {}, []
        self.start()

    @contextlib.contextmanager
    def at_once(self):
        """Tell no watch of anything until the end of the ``with``."""
        self.is_held = True
        yield
        with self.changed:
            self.is_held = False
            self.changed.notify_all()

    def forget(self):
        """Keep no version but the last, and end the watches: they are at an older one."""
        with self.changed:
            self.version += 10
            self.oldest = self.version
            self.events = []
            self.changed.notify_all()

    def answer(self, asked):
        """Answer."""
        collection, _, name = asked.path.partition("/namespaces/default/")[2].partition("/")
        if collection not in ("endpointslices", "services"):
            return Said(404, {"kind": "Status", "code": 404})
        if asked.method == "GET":
            if asked.query.get("watch") == "1":
                return Said(lines=self._watch(collection, asked))
            return self._list(collection, asked)
        with self.changed:
            name = name or asked.body["metadata"]["name"]
            return Said(200, self._change(asked.method, collection, name, asked.body))

    def _change(self, method, collection, name, body):
        self.version += 1
        kind = {"POST": "ADDED", "PUT": "MODIFIED", "DELETE": "DELETED"}[method]
        found = self.objects.pop((collection, name), None) if method == "DELETE" else body
        found = {**found, "metadata": {**found["metadata"], "resourceVersion": str(self.version)}}
        if method != "DELETE":
            self.objects[collection, name] = found
        self.events.append((self.version, collection, kind, found))
        self.changed.notify_all()
        return found

    def _list(self, collection, asked):
        with self.changed:
            begin = int(asked.query.get("continue", 0))
            found = [one for (kind, _), one in sorted(self.objects.items()) if kind == collection]
            items = [one for one in found if _wanted(one, asked)]
            size = min(self.page, int(asked.query.get("limit", 500)))
            meta = {"resourceVersion": str(self.version)}
            if len(items) > begin + size:
                meta["continue"] = str(begin + size)
            return Said(200, {"kind": "List", "metadata": meta, "items": items[begin:begin + size]})

    def _watch(self, collection, asked):
        version = int(asked.query["resourceVersion"])
        until = time.monotonic() + float(asked.query["timeoutSeconds"])
        over = self.is_over
        while time.monotonic() < until and not over.is_set():
            with self.changed:
                while self.is_held and not over.is_set():
                    self.changed.wait(BOOKMARK_S)
                if version < self.oldest or version > self.version:
                    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
                    news = [{"type": "ERROR", "object": status}]
                    until = 0.0
                else:
                    news = [{"type": kind, "object": one} for number, where, kind, one in self.events
                            if number > version and where == collection and _wanted(one, asked)]
                    version = self.version
                if not news and not self.changed.wait(BOOKMARK_S):
                    mark = {"kind": "Bookmark", "metadata": {"resourceVersion": str(version)}}
                    news = [{"type": "BOOKMARK", "object": mark}]
            yield from news


def _wanted(one, asked):
    """Say whether an object is what the selectors of a request mean."""
    meta = one["metadata"]
    label, field = asked.query.get("labelSelector", ""), asked.query.get("fieldSelector", "")
    key, _, value = label.partition("=")
    return (not label or meta.get("labels", {}).get(key) == value) and field in ("", f"metadata.name={meta['name']}")
