"""A raw WebSocket client: what it sends are octets, and what it takes are frames."""

from __future__ import annotations

from typing import Any

from .rawclient import RawClient, spin
from .wsclient import frames, handshake


class WsClient(RawClient):
    """A connection that has been upgraded on *target*; *fields* are further ones of the handshake."""

    def __init__(self, port: int, target: str = "/ws", **fields: str | None) -> None:
        super().__init__(port)
        self.send(handshake(target, **fields))
        self.answer = self.reply(head_only=True)
        assert self.answer.status == 101, self.answer.status_line

    @property
    def frames(self) -> list[tuple[int, bool, bytes]]:
        """Opcode, FIN and payload of each frame that has come."""
        return frames(bytes(self.received))

    def payloads(self, opcode: int) -> list[bytes]:
        """Return the payloads of the frames with *opcode*."""
        return [payload for found, _fin, payload in self.frames if found == opcode]

    def wait_frames(self, count: int, seconds: float = 10) -> list[tuple[int, bool, bytes]]:
        """Wait for so many frames, and return them."""
        assert spin(lambda: len(self.frames) >= count or self.closed, seconds), self.received[:200]
        return self.frames

    def close_code(self) -> int | None:
        """Return the code of the close frame that has come, None without one."""
        for payload in self.payloads(8):
            return int.from_bytes(payload[:2], "big") if payload else 1005
        return None

    def stop_reading(self) -> None:
        """Read no more, as a peer that hangs."""
        self.socket.readyRead.disconnect(self._read)
        self.socket.setReadBufferSize(4096)

    def read_on(self) -> None:
        """Read again."""
        self.received = bytearray(self.received)  # type: ignore[assignment]  # what comes may be much
        self.socket.setReadBufferSize(0)
        self.socket.readyRead.connect(self._read)
        self._read()


def opened(port: int, target: str = "/ws", **fields: Any) -> WsClient:
    """Return a connection to a route without compression."""
    return WsClient(port, target, **fields)
