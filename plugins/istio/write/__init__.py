"""A Snapshot as Istio documents, for ``meshctl convert --to istio``: what can be said, and sentences of what cannot."""

from meshd_plugins.istio.write.cluster import host_documents
from meshd_plugins.istio.write.form import target
from meshd_plugins.istio.write.listener import listener_documents


def write(snapshot):
    """Return (documents as plain Python, losses)."""
    losses = []
    documents = [document for one in snapshot.listeners for document in listener_documents(one, snapshot, losses)]
    by_host = {}
    for one in snapshot.clusters:
        if not one.missing:
            by_host.setdefault(target(one.name)[0], []).append(one)
    documents += [document for host, found in by_host.items() for document in host_documents(host, found, losses)]
    return documents, losses
