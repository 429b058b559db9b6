"""Who reads a source of a streamed reply, as an exchange does."""

from __future__ import annotations

from .rawclient import wait_until

LIMIT = 65536


class Reader:
    """Reads a source to its end as an exchange does, or until it raises."""

    def __init__(self, source, limit=LIMIT):
        self.source, self.limit = source, limit
        self.pieces, self.error, self.ended = [], None, False
        source.start(self.pump)
        self.pump()

    def pump(self):
        while not self.finished:
            try:
                piece = self.source.read(self.limit)
            except Exception as error:  # noqa: BLE001 - as an exchange does
                self.error = error
                self.source.close()
                return
            if piece is None:
                return
            assert len(piece) <= self.limit
            if not piece:
                self.ended = True
                self.source.close()
                return
            self.pieces.append(piece)

    @property
    def finished(self):
        return self.ended or self.error is not None

    @property
    def data(self):
        return b"".join(self.pieces)

    def wait(self, timeout=5.0):
        wait_until(lambda: self.finished, timeout)
        return self
