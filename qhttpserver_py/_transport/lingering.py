"""Second descriptors, used for a while after Qt has closed a connection: input below TLS is discarded there."""

from __future__ import annotations

import os
from collections.abc import Callable

from PySide6.QtCore import QObject, QSocketNotifier, QTimer

from qhttpserver_py._transport.sockets import break_descriptor, shut_descriptor

GRACE = 15.0
"""How long a peer may take to read the last bytes of a connection that closes, in seconds."""


class LingeringDescriptor:
    """A second descriptor, used for a while after its connection was closed. It belongs to the server's thread."""

    def __init__(
        self,
        file: int,
        kind: QSocketNotifier.Type,
        limit: float,
        parent: QObject,
        done: Callable[[LingeringDescriptor], object],
    ) -> None:
        self._file = file
        self._done = done
        self._notifier = QSocketNotifier(file, kind, parent)
        self._notifier.activated.connect(self._activated)
        self._timer = QTimer(self._notifier)
        self._timer.setSingleShot(True)
        self._timer.setInterval(round(limit * 1000))
        self._timer.timeout.connect(self._late)
        self._timer.start()

    def _activated(self) -> None:
        raise NotImplementedError

    def _late(self) -> None:
        self.stop()

    def stop(self) -> None:
        """Give up, by a reset: what was cut short must not look complete."""
        if self._file >= 0:
            break_descriptor(self._file)
            self._end()

    def _end(self) -> None:
        self._timer.stop()
        self._notifier.setEnabled(False)
        self._notifier.deleteLater()
        os.close(self._file)
        self._file = -1
        self._done(self)


class Drain(LingeringDescriptor):
    """Discards what a peer still sends below a TLS connection that was closed.

    The peer has to get a close_notify (RFC 9112 9.8). Qt sends it only when it closes the connection, and that would be
    a reset, by which the peer loses our last reply.
    """

    def __init__(self, file: int, limit: float, parent: QObject, done: Callable[[LingeringDescriptor], object]) -> None:
        super().__init__(file, QSocketNotifier.Type.Read, limit, parent, done)

    def shut(self) -> None:
        """Shut our side, because Qt has written all."""
        if self._file >= 0:
            shut_descriptor(self._file)

    def _activated(self) -> None:
        try:
            data = os.read(self._file, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end()
