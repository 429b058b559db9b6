"""Rules of a state machine whose peer takes nothing for a while."""

from __future__ import annotations

from hypothesis.stateful import rule

from qhttpserver_py.testing import FakeSocket


class StallingPeer:
    """A mixin for a RuleBasedStateMachine with a fake socket."""

    socket: FakeSocket

    def _turn(self) -> None:
        raise NotImplementedError

    @rule()
    def stall(self) -> None:
        self.socket.stalled = True

    @rule()
    def take_all(self) -> None:
        self.socket.stalled = False
        self.socket.take()
        self._turn()
