"""What the load has seen, bounded however long it runs. Filled in the load's process, read by ``loss.Result``."""

import collections
import math

KEPT = 2000
"""Losses and ends of WebSockets of which the time is kept; all are counted."""
STEPS_PER_E = 20
"""Latency buckets for each factor of e, so a percentile is right to 5 %."""


class Latency:
    """A histogram of seconds with buckets of 5 %."""

    def __init__(self):
        self.counts = collections.Counter()

    def add(self, seconds):
        """Count one."""
        self.counts[int(math.log(max(seconds, 1e-6) * 1e6) * STEPS_PER_E)] += 1

    def at(self, share):
        """Return the seconds that this share did not exceed; 0.0 where nothing was counted."""
        left = math.ceil(self.counts.total() * share)
        for bucket, count in sorted(self.counts.items()):
            left -= count
            if left <= 0:
                return math.exp((bucket + 1) / STEPS_PER_E) * 1e-6
        return 0.0


class Tally:
    """``explained`` are statuses of 5xx that the fault of the test explains: counted apart, not lost."""

    def __init__(self, began, explained=()):
        self.began = began
        self.explained = frozenset(explained)
        self.counts = collections.Counter()
        self.kinds = collections.Counter()
        self.reasons = collections.Counter()
        self.seen = collections.Counter()
        self.excused = collections.Counter()
        self.losses = []
        self.closed = []
        self.latency = Latency()
        self.most = collections.defaultdict(float)
        self.first_refused_s = None
        self.is_ending = False

    def top(self, name, seconds):
        """Keep the longest."""
        if seconds > self.most[name]:
            self.most[name] = seconds

    def lose(self, kind, reason, now, due):
        """One request (or message of a WebSocket) is lost; it was due at ``due``."""
        self.counts["lost"] += 1
        self.reasons[f"{kind}: {reason}"] += 1
        if len(self.losses) < KEPT:
            row = {"at_s": round(now - self.began, 4), "due_s": round(due - self.began, 4)}
            self.losses.append({**row, "kind": kind, "reason": reason})

    def refuse(self, kind, now, due):
        """A connect was refused: a loss, unless the end of the listener has been announced."""
        self.counts["refused"] += 1
        if self.first_refused_s is None:
            self.first_refused_s = now - self.began
        if not self.is_ending:
            self.lose(kind, "refused", now, due)

    def answer(self, kind, status, now, due):
        """One request was answered as it should, or as the fault explains: then its second is kept."""
        self.counts["answered" if status == 200 else f"explained_{status}"] += 1
        if status != 200:
            self.excused[int(now - self.began)] += 1
        self.kinds[kind] += 1
        self.latency.add(now - due)

    def close(self, now, since, reason, is_owed):
        """A WebSocket has ended though we did not want it; ``is_owed``: an echo was outstanding."""
        self.counts["websockets_closed"] += 1
        if len(self.closed) < KEPT:
            self.closed.append({"at_s": round(now - self.began, 4), "age_s": round(now - since, 4), "reason": reason,
                                "is_owed": is_owed})

    def as_dict(self, now):
        """Return all of it as plain data."""
        shares = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("longest", 1.0))
        return {
            "began": self.began, "seconds": now - self.began, "counts": dict(self.counts), "kinds": dict(self.kinds),
            "reasons": dict(self.reasons), "seen": dict(self.seen), "losses": self.losses, "closed": self.closed,
            "first_refused_s": self.first_refused_s, "excused": dict(self.excused), "most_s": dict(self.most),
            "latency_s": {name: self.latency.at(share) for name, share in shares},
        }
