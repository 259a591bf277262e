"""The scripted raw upstream, which is ``meshd.testing``'s server under the name that it has here."""

from meshd.testing.server import Peer, Server as Upstream, reply

__all__ = ["Peer", "Upstream", "reply"]
