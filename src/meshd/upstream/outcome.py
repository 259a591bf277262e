"""How one try at an endpoint ended; told to retry policies, outlier detectors and balancers."""

from typing import Any


class Outcome:
    """How an attempt ended, for retry policies, outlier detectors and balancers.

    ``status`` is 0 where no head came; ``began``: bytes of the request had been sent; ``seconds`` from then to the head
    (or the failure), 0.0 where nothing was sent.
    """

    __slots__ = ("status", "headers", "flag", "began", "reason", "seconds")

    def __init__(self, status: int, headers: Any, flag: int, began: bool, reason: str, seconds: float = 0.0) -> None:
        self.status = status
        self.headers = headers
        self.flag = flag
        self.began = began
        self.reason = reason
        self.seconds = seconds
