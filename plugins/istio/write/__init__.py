"""A Snapshot as Istio documents, for ``meshctl convert --to istio``: what can be said, and sentences of what cannot."""

from collections import Counter

from meshd_plugins.istio.write.balancing import HASHES
from meshd_plugins.istio.write.chain import chain_documents, clusters_of, proxies
from meshd_plugins.istio.write.cluster import host_documents
from meshd_plugins.istio.write.form import target
from meshd_plugins.istio.write.listener import listener_documents


def write(snapshot):
    """Return (documents as plain Python, losses)."""
    losses = ["probe: a WorkloadGroup's is written by hand"] if snapshot.probe is not None else []
    hashed = {one.name for one in snapshot.clusters if one.load_balancer is not None
              and one.load_balancer.type in HASHES}
    documents = [document for one in snapshot.listeners
                 for document in (listener_documents if one.filters else chain_documents)(
                     one, snapshot, hashed, losses)]
    of_bytes = {name for one in snapshot.listeners for options in proxies(one) for name, _ in clusters_of(options)}
    by_host = {}
    for one in snapshot.clusters:
        if not one.missing:
            by_host.setdefault(target(one.name)[0], []).append(one)
    documents += [document for host, found in by_host.items()
                  for document in host_documents(host, found, snapshot.node, losses, of_bytes)]
    return list(_distinct(documents)), losses


def _distinct(documents):
    """Give the second and later documents of one name another one, and put the listeners of a sidecar together."""
    seen, sidecar = Counter(), None
    for one in documents:
        if one["kind"] == "Sidecar" and sidecar is not None:
            sidecar["spec"]["egress"] += one["spec"]["egress"]
            continue
        sidecar = one if one["kind"] == "Sidecar" else sidecar
        metadata = one["metadata"]
        key = one["kind"], metadata.get("namespace"), metadata["name"]
        seen[key] += 1
        if seen[key] > 1:
            metadata["name"] = f"{metadata['name'][:58].rstrip('-')}-{seen[key]}"
        yield one
