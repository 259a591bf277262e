"""A discovery that asks servers, with the servers in the test's hand: what it asks stands in ``site.calls``."""

import json
import unittest

from meshd.testing.site import FakeSite


class RemoteCase(unittest.TestCase):
    """``self.watch(...)`` builds with these options and watches; ``self.reports`` are tuples of EndpointSpec."""

    module = None
    options = None

    def setUp(self):
        self.site = FakeSite("users", environment={"TOKEN": "s3cret"})
        self.reports = []

    def watch(self, site=None, **options):
        """Begin; nothing is answered yet."""
        settings = {"cluster": "servers", "retry_base_s": 1.0, **options}
        self.discovery = self.module.build(self.options(**settings), site or self.site)
        self.addCleanup(self.discovery.stop)
        self.first = self.discovery.watch(self.reports.append)
        return self.discovery

    @property
    def call(self):
        """The last call that was made."""
        return self.site.calls[-1]

    @property
    def open(self):
        """The calls that wait for an answer."""
        return [call for call in self.site.calls if not call.is_over]

    def answer(self, value, status=200, **headers):
        """Answer the last call with JSON, and let a change be applied."""
        fields = [(name.replace("_", "-").encode(), str(text).encode()) for name, text in headers.items()]
        self.call.answer(status, json.dumps(value).encode(), [(b"content-type", b"application/json"), *fields])
        self.settle()

    def settle(self):
        """Let pass what stands between a change and its report."""
        for _ in range(4):
            self.site.advance(0.11)

    @property
    def addresses(self):
        """What was reported last."""
        return [spec.address for spec in self.reports[-1]]

    @property
    def error(self):
        """What is wrong with the source, or ''."""
        return self.discovery.known.error

    def log(self):
        """Return all that was logged, for the search for secrets."""
        return repr(self.site.logged)
