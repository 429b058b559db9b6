"""The HTTP/1.0 and 1.1 engine (RFC 9112): replies in the order of the requests, which its receiver reads.

Strategy: the usual reply is one look-up and one formatting; every other goes through ``ResponseHead``. What a reply
depends on in its request was noted as bits when that was parsed.
"""

from __future__ import annotations

from qhttpserver_py._protocol.engine import BodyLimit, EngineState, Event, Headers, Limits, Message, Refusal, Waits
from qhttpserver_py._protocol.http1.head import ASKED, CLOSE, CONNECT, HEAD, HTTP10, INCOMPLETE
from qhttpserver_py._protocol.http1.receiver import Http1Receiver
from qhttpserver_py._protocol.http1.response import (
    CHUNKS,
    CLOSING_TAIL,
    NOTHING,
    SIZED,
    ResponseHead,
    interim,
    last_chunk,
    plain_prefix,
    refusal,
)
from qhttpserver_py._protocol.http1.waiting import NothingWaits
from qhttpserver_py._protocol.wire import date_field

_JOIN_BELOW = 16384  # shorter bodies are copied into their head's bytes object


_UNUSUAL = HEAD | CONNECT | INCOMPLETE  # bits of requests whose replies are framed otherwise


class Http1Engine:
    """Fills ``Engine`` for HTTP/1. One message is answered at a time, in order; its stream is always 1."""

    __slots__ = (
        "_framing",
        "_limits",
        "_out",
        "_owed",
        "_prefix",
        "_prefix_of",
        "_receiver",
        "_reply_left",
        "aborted",
        "receive_data",
        "state",
    )

    interleaves = False
    can_send = False
    requests = 0
    waits: Waits = NothingWaits()

    def __init__(self, limits: Limits) -> None:
        self.state = EngineState()
        self._limits = limits
        self._receiver = Http1Receiver(limits, self.state)
        self._owed = self._receiver.owed
        self.receive_data = self._receiver.receive_data
        """See ``Engine``. It is the receiver's own method, which saves a call for each read."""
        self.aborted = False
        """Whether the last reply was cut short, so that the close must not look like its end."""
        self._framing = -1  # of the reply that was begun, -1: none
        self._reply_left = 0  # octets of its announced length still to come
        self._out: list[bytes] = []
        # The status line and own fields of the last plain reply: the next one mostly has the same.
        self._prefix = b""
        self._prefix_of: tuple[int, int, Headers] = (0, 0, ())

    @property
    def body_limit(self) -> BodyLimit:
        """See ``Engine``."""
        return self._receiver.body_limit

    @body_limit.setter
    def body_limit(self, limit: BodyLimit) -> None:
        self._receiver.body_limit = limit

    # ---- receiving

    def receive_eof(self) -> list[Event]:
        """See ``Engine``."""
        return self._receiver.receive_eof()

    def unfinished(self) -> list[Message]:
        """See ``Engine``."""
        return self._receiver.unfinished()

    def unread(self) -> bytes | None:
        """Return, once, what came behind an upgrade request; None if it was more than is kept."""
        return self._receiver.unread()

    def resume(self) -> None:
        """Go on with HTTP, because the upgrade is refused: the reply ends the connection, other input is dropped."""
        self._receiver.resume()

    # ---- replying

    def send_continue(self, stream_id: int) -> None:  # noqa: ARG002
        """See ``Engine``."""
        if self._receiver.message is not None:
            self._out.append(b"HTTP/1.1 100 Continue\r\n\r\n")

    def send_interim(self, stream_id: int, status: int, headers: Headers) -> None:  # noqa: ARG002
        """See ``Engine``."""
        data = interim(status, headers)
        if self._may_reply(begun=False) and not self._owed[0] & HTTP10:
            self._out.append(data)

    def send_response(self, stream_id: int, status: int, headers: Headers, body: bytes) -> None:
        """See ``Engine``."""
        bits = self._owed[0] if self._owed and self._framing < 0 else _UNUSUAL
        if not bits & _UNUSUAL:
            key = (bits & HTTP10, status, tuple(headers))
            prefix = self._prefix if key == self._prefix_of else plain_prefix(*key)
            if prefix:
                self._prefix_of, self._prefix = key, prefix
                size, tail = len(body), CLOSING_TAIL if bits & CLOSE else self._limits.persistent_tail
                if size < _JOIN_BELOW:
                    self._out.append(b"%b%bcontent-length: %d\r\n%b%b" % (prefix, date_field(), size, tail, body))
                else:
                    self._out.append(b"%b%bcontent-length: %d\r\n%b" % (prefix, date_field(), size, tail))
                    self._out.append(body)
                self._owed.popleft()
                if bits & CLOSE:
                    self._finish(linger=not bits & ASKED)
                return
        self.send_headers(stream_id, status, headers, len(body))
        if not self.state.should_close:
            if self._framing != NOTHING and body:
                self._out.append(body)
            self._reply_left = 0
            self._end_reply()

    def send_headers(self, stream_id: int, status: int, headers: Headers, length: int | None) -> None:  # noqa: ARG002
        """See ``Engine``."""
        if not self._may_reply(begun=False):
            return
        bits = self._owed[0]
        head = ResponseHead(status, headers, bits, length, self._limits.persistent_tail)
        if head.closes:
            self._owed[0] = bits | CLOSE
        self._framing = head.framing
        self._reply_left = head.size
        self._out.append(head.data)

    def send_chunk(self, stream_id: int, data: bytes) -> None:  # noqa: ARG002
        """See ``Engine``. Raises ValueError if *data* goes beyond the announced length."""
        if not self._may_reply(begun=True) or not data or self._framing == NOTHING:
            return
        size = len(data)
        if self._framing == CHUNKS:
            if size < _JOIN_BELOW:
                self._out.append(b"%x\r\n%b\r\n" % (size, data))
            else:
                self._out += (b"%x\r\n" % size, data, b"\r\n")
            return
        if self._framing == SIZED:
            if size > self._reply_left:
                raise ValueError(f"the body is longer than announced by {size - self._reply_left} bytes")
            self._reply_left -= size
        self._out.append(data)

    def end_stream(self, stream_id: int, trailers: Headers = ()) -> None:
        """See ``Engine``. A body shorter than announced is an abort; trailers go with chunks only."""
        if not self._may_reply(begun=True):
            return
        if self._reply_left:
            self.abort(stream_id)
            return
        if self._framing == CHUNKS:
            self._out.append(last_chunk(trailers))
        self._end_reply()

    def _may_reply(self, *, begun: bool) -> bool:
        """Return whether there is a peer to reply to; raise for misuse."""
        if self.state.should_close:
            return False
        if not self._owed or (self._framing >= 0) != begun:
            raise RuntimeError("no reply was begun" if begun else "no message waits for a reply")
        return True

    def _end_reply(self) -> None:
        self._framing = -1
        bits = self._owed.popleft()
        if bits & CLOSE:
            # A peer that asked for the close sends no more; any other may be sending a request.
            self._finish(linger=not bits & ASKED or bool(bits & INCOMPLETE))

    def _finish(self, *, linger: bool) -> None:
        self._receiver.stop_reading()
        self._owed.clear()
        self.state.should_close = True
        self.state.linger = (self.state.linger or linger) and not self._receiver.eof

    def refuse(self, refusal_event: Refusal) -> None:
        """See ``Engine``."""
        if self.state.should_close:
            return
        if self._framing >= 0:  # the reply to the refused message was begun, and a second one must not follow it
            self.abort(refusal_event.stream_id)
            return
        if refusal_event.status:
            decision = self._receiver.message.decision if self._receiver.message is not None else None
            fields = refusal_event.fields or (decision.fields if decision is not None else ())
            self._out.append(refusal(refusal_event.status, fields))
        self._finish(linger=True)

    def abort(self, stream_id: int) -> None:  # noqa: ARG002
        """See ``Engine``; sets ``aborted``."""
        self._framing = -1
        self._reply_left = 0
        self.aborted = True
        self._finish(linger=False)
        self.state.linger = False

    def consumed(self, stream_id: int, size: int) -> None:
        """See ``Engine``. Over HTTP/1 the connection stops reading instead."""

    def backlog(self, stream_id: int) -> int:  # noqa: ARG002
        """See ``Engine``. HTTP/1 has no flow control of its own."""
        return 0

    def pieces_to_send(self) -> list[bytes]:
        """See ``Engine``."""
        pieces = self._out
        if pieces:
            self._out = []
        return pieces

    def data_to_send(self, limit: int = -1) -> bytes:  # noqa: ARG002
        """See ``Engine``."""
        return b"".join(self.pieces_to_send())

    def rest(self) -> None:
        """See ``Engine``."""
        self._receiver.known.forget()
        self._prefix_of, self._prefix = (0, 0, ()), b""

    def close(self) -> None:
        """See ``Engine``. The reply that is due ends the connection; requests behind it are dropped."""
        if not self._owed:
            self._finish(linger=False)
            return
        self._owed[0] |= CLOSE
        if len(self._owed) > 1 or self._receiver.message is None:
            self._receiver.stop_reading()

    def terminate(self) -> bool:
        """See ``Engine``."""
        return False

    def lost(self) -> None:
        """See ``Engine``."""
