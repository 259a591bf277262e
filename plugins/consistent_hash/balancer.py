"""A balancer that gives the same key the same endpoint: the face of ``ring_hash`` and ``maglev`` to clusters.

Strategy: the table is a pure function of the endpoints. A change makes a new one in slices of ``SLICE_S`` a turn of
the reactor, while the old one answers, and puts it in the old one's place whole. What changes meanwhile waits for
the next table, so that churn never keeps a table from being finished.
"""

from zope.interface import implementer

from meshd.api import ILoadBalancer

SLICE_S = 0.0005
"""Time for the table in one turn of the reactor (seconds)."""
ATTEMPTS = 6
"""Places looked at for an endpoint that was not tried: Istio's hostSelectionRetryMaxAttempts and the first."""


@implementer(ILoadBalancer)
class ConsistentHash:
    """``make(keys, weights)`` is the generator that returns a table; ``key(exchange)`` gives 64 bits or None."""

    def __init__(self, make, key, label, site):
        self._made_of = make, key, label, site
        self._make = make
        self._label = label
        self._random = site.random.getrandbits
        self._now = site.clock.now
        self._later = site.clock.call_later
        self._table = None
        self._members = self._wanted = ()
        self._gone = frozenset()
        self._next = ()
        self._made_for = None
        self._work = self._call = None
        self.key = key if key is not None else no_key

    def another(self):
        """Return one of the same settings for other endpoints."""
        return ConsistentHash(*self._made_of)

    def update(self, endpoints):
        """Begin the table of these endpoints; one whose weight only warms up keeps its place in the table."""
        self._wanted = endpoints
        if self._work is not None:
            self._note_gone()
        elif self._is_new():
            self._begin()
            if self._call is None:
                self._run()

    def stop(self):
        """Leave off."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def pick(self, exchange):
        """Return the endpoint at the request's key, at a random place where it has none."""
        table = self._table
        if table is None:
            while self._work is not None and self._table is None:
                self._go_on()
            table = self._table
            if table is None:
                return None
        key = self.key(exchange) if exchange.request.version else self._key_of_connection(exchange)
        if self._gone or exchange.tried:
            return self._other(exchange, key)
        return self._members[table.find(self._random(64) if key is None else key, 0)]

    def _key_of_connection(self, session):
        """Return the key of a connection of TCP: by the proxy's own policy where it has one."""
        own = getattr(getattr(session, "plan", None), "hash_key", None)
        return self.key(session) if own is None else own(session)

    def _other(self, exchange, key):
        """Pass over what is gone and what was tried (nothing, where the retry policy keeps the host): the key's next
        places.
        """
        tried = exchange.tried
        if key is None:
            key = self._random(64)
        for attempt in range(ATTEMPTS):
            found = self._members[self._table.find(key, attempt)]
            if found not in self._gone and found not in tried:
                return found
        usable = [one for one in self._wanted if one not in tried] or self._wanted
        return usable[key % len(usable)] if usable else None

    def _is_new(self):
        made_for = tuple([(hash_key(one, self._label), configured_weight(one)) for one in self._wanted])
        if made_for == self._made_for:
            self._members = self._wanted
            self._gone = frozenset()
            return False
        self._made_for = made_for
        return True

    def _note_gone(self):
        self._gone = frozenset(self._members).difference(self._wanted)

    def _begin(self):
        """Begin a new table for what is wanted now; ``_run`` goes on with it."""
        if not self._wanted:
            self._table, self._members, self._gone = None, (), frozenset()
            return
        self._note_gone()
        self._next = self._wanted
        keys = [key.encode() for key, _ in self._made_for]
        self._work = self._make(keys, [weight for _, weight in self._made_for])

    def _run(self):
        """Make what a slice allows; a call is on its way for as long as there is more."""
        self._call = None
        until = self._now() + SLICE_S
        while self._work is not None:
            self._go_on()
            if self._work is not None and self._now() >= until:
                self._call = self._later(0.0, self._run)
                return

    def _go_on(self):
        try:
            next(self._work)
        except StopIteration as ended:
            self._finish(ended.value)

    def _finish(self, table):
        """Put the table in force; begin the next where endpoints have changed meanwhile."""
        self._table, self._members = table, self._next
        self._work = None
        self._note_gone()
        if self._wanted != self._next and self._is_new():
            self._begin()


def no_key(exchange):
    """Every request has a random place."""
    return None


def hash_key(endpoint, label):
    """Return what stands for an endpoint in the table: its address as Envoy writes it, or its ``label``'s value."""
    if label is not None:
        for name, value in endpoint.labels:
            if name == label and value:
                return value
    return endpoint.address.removeprefix("unix:")


def configured_weight(endpoint):
    """Return the weight without warm-up, which would move keys at each step (Envoy warms up no hash balancer)."""
    spec = getattr(endpoint, "spec", None)
    return endpoint.weight if spec is None else spec.weight
