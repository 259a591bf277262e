"""The filter ``acme``: signs every response with its release, and does what the request's x-acme field says."""

import time

from twisted.internet.defer import Deferred

from meshd.api import CONTINUE, Boolean, Duration, config, option
from meshd_acme.release import RELEASE

LEAK_BYTES = 1 << 20


@config
class Acme:
    """Signs responses."""

    obey: bool = option(Boolean(), default=True, doc="do what the request's x-acme field says")
    late_s: float = option(Duration(), default=0.2, doc="how late a late answer is")
    block_s: float = option(Duration(), default=0.2, doc="how long 'block' blocks")
    hang_s: float = option(Duration(), default=10.0, doc="how long 'hang' blocks")


class AcmeFilter:
    """One object for each chain."""

    def __init__(self, config, site):
        self._config = config
        self._site = site
        self._kept = []
        self._deeds = {
            b"raise": self._raise, b"late": self._late, b"late-raise": self._late_raise, b"timer": self._timer,
            b"nonsense": lambda: "nonsense", b"block": lambda: self._block(config.block_s),
            b"hang": lambda: self._block(config.hang_s), b"leak": self._leak,
        }

    def on_request(self, exchange):
        """Misbehave where that is asked for."""
        word = exchange.request.headers.get(b"x-acme")
        deed = self._deeds.get(word) if word and self._config.obey else None
        return deed() if deed else CONTINUE

    def on_response(self, exchange):
        """Sign."""
        exchange.response.headers.set(b"x-acme-release", RELEASE.encode())
        if exchange.request.headers.get(b"x-acme") == b"raise-back":
            raise LookupError("acme lost its way back")

    def _raise(self):
        raise LookupError("acme lost its way")

    def _late(self):
        later = Deferred()
        self._site.clock.call_later(self._config.late_s, later.callback, CONTINUE)
        return later

    def _late_raise(self):
        return self._late().addCallback(lambda _: self._raise())

    def _timer(self):
        """Raise where no request can be blamed: in a timer of its own."""
        self._site.clock.call_later(0, self._raise)
        return CONTINUE

    def _block(self, seconds):
        time.sleep(seconds)
        return CONTINUE

    def _leak(self):
        self._kept.append(b"\x01" * LEAK_BYTES)
        return CONTINUE
