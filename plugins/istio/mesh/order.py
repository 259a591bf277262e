"""Which document comes first where Istio says "the oldest wins"; files have no age, so the rule is ours.

1. the annotation ``meshd.io/priority``: a whole number, the highest first (0 where it is absent)
2. age, the oldest first: ``metadata.creationTimestamp``, as documents from a Kubernetes cluster have it, else the time
   at which a daemon with a state directory first saw the document (``meshd.config.age``); those without come after
3. namespace, then name
"""

PRIORITY = "meshd.io/priority"


def order(resource):
    """Return the sort key of a resource."""
    text = resource.annotations.get(PRIORITY, "")
    try:
        priority = int(text)
    except ValueError:
        priority = 0
    created = resource.metadata.creation_timestamp
    return -priority, not created, created, resource.namespace, resource.name


def reason(winner, loser):
    """Return in words why ``winner`` comes before ``loser``."""
    one, two = order(winner), order(loser)
    if one[0] != two[0]:
        return f"{PRIORITY} {-one[0]} against {-two[0]}"
    if one[1:3] != two[1:3]:
        return f"created {winner.metadata.creation_timestamp or 'at no known time'} against " \
               f"{loser.metadata.creation_timestamp or 'no known time'}"
    return "by name, since neither has a priority or an age"
