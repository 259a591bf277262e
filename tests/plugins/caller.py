"""Callers and authenticators for the tests of authentication."""

import base64
import hashlib

from twisted.internet.defer import Deferred

from meshd.api import Identity, Plugin
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.authentication.api_key import ApiKey, ApiKeyAuthenticator
from meshd_plugins.authentication.basic import Basic, BasicAuthenticator
from meshd_plugins.authentication.filter import Authentication, AuthenticationFilter
from meshd_plugins.authentication.password import make

HASH = make(b"open sesame", n=16)
SHA = "{SHA}" + base64.b64encode(hashlib.sha1(b"old").digest()).decode()
KEY = "0123456789abcdef-key"


class CountingSite(FakeSite):
    """Counts what goes to a thread; with ``holds`` the results wait in ``held``."""

    def __init__(self, holds=False):
        super().__init__()
        self.hashes = 0
        self.holds = holds
        self.held = []

    def in_thread(self, function, *args):
        self.hashes += 1
        if not self.holds:
            return super().in_thread(function, *args)
        waiting = Deferred()
        self.held.append(lambda: waiting.callback(function(*args)))
        return waiting


def basic_pair(user, password):
    return (b"authorization", b"Basic " + base64.b64encode(user + b":" + password))


def asked(user=b"ali", password=b"open sesame", **attributes):
    return FakeExchange(headers=[basic_pair(user, password)], **attributes)


def basic(site=None, **options):
    options = {"users": (("ali", HASH), ("old", SHA)), **options}
    return BasicAuthenticator(Basic(**options), site or FakeSite())


def api_key(**options):
    return ApiKeyAuthenticator(ApiKey(**{"keys": (("robot", KEY),), "header": "x-api-key", **options}), FakeSite())


class Stub:
    """An authenticator with a given answer."""

    def __init__(self, answer):
        self.answer = answer

    def authenticate(self, exchange):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer() if callable(self.answer) else self.answer


class StubSite(FakeSite):
    """``build`` returns the plugin's config itself."""

    def build(self, plugin):
        return plugin.config


def filter_of(*authenticators, **options):
    plugins = tuple(
        Plugin(kind="authenticator", type="stub", config=one, name=f"stub{number}")
        for number, one in enumerate(authenticators)
    )
    return AuthenticationFilter(Authentication(authenticators=plugins, **options), StubSite())


ANN = Identity(name="ann", method="stub")
