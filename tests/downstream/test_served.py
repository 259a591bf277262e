"""Connections of TCP that a filter serves itself."""

from twisted.internet.defer import Deferred

from meshd.api import CONTINUE, STOP
from tests.downstream.test_tcp import TcpCase


class Serving(TcpCase):
    def test_who_serves_hears_of_an_end_that_came_while_a_filter_waited(self):
        class Waits:
            def __init__(self):
                self.answer = Deferred()

            def on_open(self, session):
                return self.answer

        class Serves:
            told = []

            def on_open(self, session):
                session.serve(lambda link: self)
                return STOP

            def received(self, data):
                self.told.append(data)

            def received_eof(self):
                self.told.append("end")

            def lost(self, reason):
                self.told.append("lost")

        waits, serves = Waits(), Serves()
        mesh = self.tcp(waits, serves)
        client = self.connect(mesh)
        client.send(b"all of it")
        client.half_close()
        mesh.turn()
        waits.answer.callback(CONTINUE)
        self.assertEqual(serves.told, [b"all of it", "end"])
