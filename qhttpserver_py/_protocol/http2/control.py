"""The frames that steer an HTTP/2 connection: all but HEADERS, CONTINUATION and DATA (RFC 9113 6.3 to 6.9).

Strategy: a rule broken for the whole connection raises ConnectionFault, caught in one place.
"""

from __future__ import annotations

from collections.abc import Callable

from h2.errors import ErrorCodes
from h2.exceptions import InvalidSettingsValueError
from h2.settings import SettingCodes, Settings

from qhttpserver_py._protocol.engine import Reset
from qhttpserver_py._protocol.http2 import budget as h2_budget
from qhttpserver_py._protocol.http2.frames import (
    ACK,
    GOAWAY,
    MAX_STREAM_ID,
    MAX_WINDOW,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    ConnectionFault,
    frame,
    parse_settings,
)
from qhttpserver_py._protocol.http2.streams import HAS_READ, Streams

_KNOWN_SETTINGS = frozenset(int(code) for code in SettingCodes)


class ControlFrames:
    """Takes the frames that belong to no request, or only end one. Only it changes what the peer's settings ask for."""

    __slots__ = ("_outbox", "_streams", "peer_takes")

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._outbox = streams.outbox
        self.peer_takes = -1
        """The largest header list that the peer takes, as its settings count it, or -1."""

    def on_priority(self, _flags: int, stream_id: int, payload: bytes) -> None:
        """Check a frame that is legal in every state and ignored (RFC 9113 6.3, RFC 7540 5.3.1)."""
        if not stream_id:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "PRIORITY on stream 0")
        self._streams.chatter.spend()
        if len(payload) != 5:
            code = ErrorCodes.FRAME_SIZE_ERROR
        elif int.from_bytes(payload[:4], "big") & MAX_STREAM_ID == stream_id:
            code = ErrorCodes.PROTOCOL_ERROR
        else:
            return
        if stream_id not in self._streams.open:  # a stream that is not open must not be reset
            raise ConnectionFault(code, "an illegal PRIORITY")
        self._streams.fail(stream_id, code, "an illegal PRIORITY")

    def on_rst_stream(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCodes.FRAME_SIZE_ERROR, "RST_STREAM of a wrong size")
        self._streams.history.check_not_idle(stream_id)
        stream = self._streams.drop(stream_id)
        if stream is None:
            if self._streams.lingering.pop(stream_id, None) is None:
                self._streams.chatter.spend()
            return
        self._streams.resets.spend()
        self._streams.withdraw(stream_id)
        if stream.batch != self._streams.batch:  # else the request was not returned yet, and will not be
            self._streams.events.append(Reset(stream_id))

    def on_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "SETTINGS on a stream")
        if len(payload) % 6 or (flags & ACK and payload):
            raise ConnectionFault(ErrorCodes.FRAME_SIZE_ERROR, "SETTINGS of a wrong size")
        self._streams.chatter.spend(h2_budget.SETTINGS_COST)
        if flags & ACK:
            self._streams.stream_floor = 0
            return
        # A frame may hold thousands of values. Nothing can happen between them, so each setting is applied once, with
        # its last value. What is legal is a range, so it is enough to check the least and the greatest value.
        values: dict[int, list[int]] = {}
        for code, value in parse_settings(payload):
            if code in _KNOWN_SETTINGS:
                values.setdefault(code, []).append(value)
        for code, given in values.items():
            self._apply_setting(SettingCodes(code), min(given), max(given), given[-1])
        self._outbox.parts.append(frame(SETTINGS, ACK, 0))

    def _apply_setting(self, code: SettingCodes, least: int, most: int, value: int) -> None:
        """Apply *value*, the last of those between *least* and *most* (RFC 9113 6.5.3)."""
        for given in {least, most}:
            try:
                Settings(initial_values={code: given})  # h2 knows what is legal
            except InvalidSettingsValueError as error:
                fault_code = ErrorCodes(error.error_code)
                raise ConnectionFault(fault_code, f"an illegal value for {code.name}") from None
        if code == SettingCodes.INITIAL_WINDOW_SIZE:
            self._move_windows(value)
        elif code == SettingCodes.MAX_FRAME_SIZE:
            self._outbox.frame_size = value
        elif code == SettingCodes.HEADER_TABLE_SIZE:
            self._outbox.encoder.resize(least)  # the peer may have dropped entries meanwhile (RFC 7541 4.2)
            self._outbox.encoder.resize(value)
        elif code == SettingCodes.MAX_HEADER_LIST_SIZE:
            self.peer_takes = value

    def _move_windows(self, initial: int) -> None:
        """Change the windows of open streams too, which may become negative (RFC 9113 6.9.2)."""
        outbox = self._outbox
        change = initial - outbox.initial_window
        outbox.initial_window = initial
        if not change:
            return
        self._streams.chatter.spend(len(self._streams.open) // h2_budget.STREAMS_PER_FRAME)
        for stream in self._streams.open.values():
            stream.window += change
            if stream.window > MAX_WINDOW:
                raise ConnectionFault(ErrorCodes.FLOW_CONTROL_ERROR, "a stream's window above 2**31-1")
            outbox.wake(stream)

    def on_push_promise(self, _flags: int, _stream_id: int, _payload: bytes) -> None:
        raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "PUSH_PROMISE from a client")

    def on_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != 8:
            raise ConnectionFault(ErrorCodes.FRAME_SIZE_ERROR, "PING of a wrong size")
        self._streams.chatter.spend()
        if not flags & ACK:
            self._outbox.parts.append(frame(PING, ACK, 0, payload))
        elif payload == HAS_READ and self._streams.asked:
            self._streams.on_has_read()

    def on_goaway(self, _flags: int, stream_id: int, payload: bytes) -> None:
        """Check the frame only: the peer closes when it has its replies."""
        if stream_id:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < 8:
            raise ConnectionFault(ErrorCodes.FRAME_SIZE_ERROR, "GOAWAY of a wrong size")
        self._streams.chatter.spend()

    def on_window_update(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCodes.FRAME_SIZE_ERROR, "WINDOW_UPDATE of a wrong size")
        self._streams.chatter.spend()
        increment = int.from_bytes(payload, "big") & MAX_WINDOW
        if not stream_id:
            self._widen_connection(increment)
            return
        self._streams.history.check_not_idle(stream_id)
        stream = self._streams.open.get(stream_id)
        if stream is None:
            return
        stream.window += increment
        if not increment:
            self._streams.fail(stream_id, ErrorCodes.PROTOCOL_ERROR, "WINDOW_UPDATE of nothing")
        elif stream.window > MAX_WINDOW:
            self._streams.fail(stream_id, ErrorCodes.FLOW_CONTROL_ERROR, "a stream's window above 2**31-1")
        else:
            self._outbox.wake(stream)

    def _widen_connection(self, increment: int) -> None:
        self._outbox.window += increment
        if not increment:
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "WINDOW_UPDATE of nothing")
        if self._outbox.window > MAX_WINDOW:
            raise ConnectionFault(ErrorCodes.FLOW_CONTROL_ERROR, "the connection's window above 2**31-1")


CONTROL: dict[int, Callable[[ControlFrames, int, int, bytes], None]] = {
    PRIORITY: ControlFrames.on_priority,
    RST_STREAM: ControlFrames.on_rst_stream,
    SETTINGS: ControlFrames.on_settings,
    PUSH_PROMISE: ControlFrames.on_push_promise,
    PING: ControlFrames.on_ping,
    GOAWAY: ControlFrames.on_goaway,
    WINDOW_UPDATE: ControlFrames.on_window_update,
}
"""What takes a frame, by its type (RFC 9113 6)."""
