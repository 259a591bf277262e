"""The labels by which Gateways and policies select this node."""

IMPLIED = {"ingress": ("istio", "ingressgateway"), "egress": ("istio", "egressgateway")}
"""A gateway has the label that Istio's own gateways have, unless its labels say otherwise."""


def gateway_labels(node):
    """Return the node's labels as a dict, with the label that its role implies."""
    labels = dict(node.labels)
    if node.role in IMPLIED:
        labels.setdefault(*IMPLIED[node.role])
    return labels
