"""Time as plugins and the runtime see it; made by the service from its reactor."""

import time
from typing import Any


class Clock:
    """``now`` is monotonic and never jumps; ``wall`` is for people and certificates."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.now = time.monotonic
        self.wall = time.time
        self.call_later = reactor.callLater
