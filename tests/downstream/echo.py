"""A filter that answers at once, for the tests of connections."""

from meshd.api.exchange import STOP


class Echo:
    """Replies with the path, and with ``size`` bytes more."""

    def __init__(self, size=0):
        self.size = size
        self.count = 0

    def on_request(self, exchange):
        """Reply."""
        self.count += 1
        exchange.reply(200, exchange.request.path + b"x" * self.size)
        return STOP
