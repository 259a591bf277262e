"""A world and a folder for the sockets of scripted upstreams."""

import shutil
import tempfile

from tests.wire.world import TURNS, StillWorld


class Folder:
    """Has what an Upstream asks of a Mesh."""

    def __init__(self):
        self.world = StillWorld()
        self.folder = tempfile.mkdtemp(dir="/tmp")
        self.peers = []

    def turn(self):
        """Work everything off."""
        count = self.world.turn()
        assert count < TURNS, "a busy loop"
        return count

    def close(self):
        """Close everything."""
        for peer in self.peers:
            peer.close()
        self.world.close()
        shutil.rmtree(self.folder)
