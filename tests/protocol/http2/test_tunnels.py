"""Extended CONNECT (RFC 8441): octets in both directions on one stream, under flow control."""

from __future__ import annotations

import pytest
from h2.errors import ErrorCodes

from qhttpserver_py._protocol.engine import Limits, Message, Reset
from qhttpserver_py._protocol.http2.engine import Http2Engine
from qhttpserver_py._protocol.http2.settings import Http2Settings

from ...support.h2frames import (
    DATA,
    END_STREAM,
    GET,
    HEADERS,
    OPEN,
    PROTOCOL,
    RST_STREAM,
    WINDOW_UPDATE,
    Client,
    Fields,
    alive,
    data,
    headers,
    limits,
    parse,
    rst_stream,
    settings,
    stream_error,
    window_update,
)

ENABLE_CONNECT_PROTOCOL = 8
SOCKET: Fields = [
    (b":method", b"CONNECT"),
    (b":protocol", b"websocket"),
    (b":scheme", b"https"),
    (b":path", b"/chat"),
    (b":authority", b"host"),
    (b"sec-websocket-version", b"13"),
]


def without(*names: bytes) -> Fields:
    return [field for field in SOCKET if field[0] not in names]


def offering(**values: int) -> Client:
    return Client(limits(**values), Http2Settings(tunnels=True))


def asked(client: Client, stream_id: int = 1) -> Message:
    (message,) = client.send(headers(stream_id, SOCKET, OPEN))
    assert isinstance(message, Message)
    return message


def tunnel(client: Client, stream_id: int = 1) -> Message:
    message = asked(client, stream_id)
    message.streaming = True
    client.engine.send_headers(stream_id, 200, (), None)
    client.frames()
    return message


@pytest.mark.parametrize("offered", [False, True])
def test_extended_connect_is_offered_only_if_asked_for(offered: bool) -> None:
    first = parse(Http2Engine(Limits(), Http2Settings(tunnels=offered)).data_to_send())[0]
    pairs = {first.payload[n : n + 6] for n in range(0, len(first.payload), 6)}
    assert ((b"\0\x08\0\0\0\x01") in pairs) is offered


def test_where_it_was_not_offered_the_request_is_malformed() -> None:
    stream_error(PROTOCOL, headers(1, SOCKET, OPEN))


@pytest.mark.parametrize(
    "fields",
    [
        without(b":scheme"),
        without(b":path"),
        without(b":authority"),
        [(b":method", b"GET"), *without(b":method")],
        [*SOCKET[:2], *SOCKET[1:]],
        [(b":protocol", b"web socket"), *without(b":protocol")],
        [(b":protocol", b""), *without(b":protocol")],
    ],
    ids=["no scheme", "no path", "no authority", "GET", "twice", "no token", "empty"],
)
def test_a_malformed_extended_connect_is_a_stream_error(fields: Fields) -> None:
    stream_error(PROTOCOL, headers(1, fields, OPEN), client=offering())


def test_an_extended_connect_is_a_message_with_its_protocol() -> None:
    message = asked(offering(body_size=1))
    assert (message.method, message.protocol, message.target) == ("CONNECT", b"websocket", b"/chat")
    assert (message.scheme, message.authority, message.complete) == (b"https", b"host", False)


def test_a_plain_connect_has_no_protocol() -> None:
    client = offering()
    message = client.get(1, [(b":method", b"CONNECT"), (b":authority", b"host:443")])
    assert message.protocol == b""


def test_octets_go_both_ways_until_both_halves_are_closed() -> None:
    client = offering(body_size=1)  # a tunnel has no body
    message = tunnel(client)
    assert client.answers[1].status == 200
    assert not client.answers[1].ended
    assert b"content-length" not in dict(client.answers[1].heads[0])
    assert client.send(data(1, b"to the "), data(1, b"server")) == [message]
    assert b"".join(message.pieces) == b"to the server"
    client.engine.send_chunk(1, b"to the client")
    client.frames()
    assert client.answers[1].body == b"to the client"
    assert client.send(data(1, b"", END_STREAM)) == [message]
    assert message.complete
    client.engine.send_chunk(1, b", on and on")
    client.engine.end_stream(1, [(b"x", b"trailers have no place here")])
    client.frames()
    assert client.answers[1].body == b"to the client, on and on"
    assert client.answers[1].ended
    client.engine.close()
    assert client.engine.state.should_close


def test_after_our_half_close_the_peers_octets_still_come() -> None:
    client = offering()
    message = tunnel(client)
    client.engine.end_stream(1)
    assert [(one.kind, one.ends) for one in client.frames()] == [(DATA, True)]
    message.pieces.clear()
    assert client.send(data(1, b"late")) == [message]
    assert message.pieces == [b"late"]
    assert client.send(data(1, b"", END_STREAM)) == [message]
    assert alive(client)
    client.engine.close()
    assert client.engine.state.should_close


def test_octets_held_back_leave_before_our_half_close() -> None:
    client = offering()
    client.send(settings((4, 5)))
    tunnel(client)
    client.engine.send_chunk(1, b"0123456789")
    client.engine.end_stream(1)
    client.frames()
    client.send(data(1, b"", END_STREAM))
    assert client.answers[1].body == b"01234"
    assert client.engine.backlog(1) == 5
    client.send(window_update(1, 100))
    client.frames()
    assert client.answers[1].body == b"0123456789"
    assert client.answers[1].ended


def test_the_peer_may_send_a_window_and_more_only_as_octets_are_consumed() -> None:
    client = offering()
    message = asked(client)
    for accepted in (False, True):
        if accepted:
            message.streaming = True
            client.engine.send_headers(1, 200, (), None)
        client.send(data(1, bytes(16000)), data(1, bytes(16000)))
        assert not [one for one in client.frames() if one.kind == WINDOW_UPDATE and one.stream_id]
    assert sum(map(len, message.pieces)) == 64000
    message.pieces.clear()
    client.engine.consumed(1, 64000)
    assert [one.payload for one in client.frames() if one.stream_id] == [(64000).to_bytes(4, "big")]
    client.send(data(1, bytes(16000)), data(1, bytes(16000)), data(1, bytes(16000)), data(1, bytes(16000)))
    stream_error(ErrorCodes.FLOW_CONTROL_ERROR, data(1, bytes(16000)), client=client)


def test_a_tunnel_is_no_request_whose_body_is_awaited() -> None:
    client = offering()
    asked(client, 1)
    tunnel(client, 3)
    assert client.engine.unfinished() == []
    assert client.engine.state.partial == 0


def test_a_refused_tunnel_is_answered_and_what_the_peer_sends_on_is_dropped() -> None:
    client = offering()
    message = asked(client)
    client.engine.send_response(1, 403, (), b"no")
    client.frames()
    assert (client.answers[1].status, client.answers[1].body, client.answers[1].ended) == (403, b"no", True)
    assert client.send(data(1, b"early octets")) == []
    assert message.pieces == []
    assert alive(client)


def test_both_sides_may_reset_a_tunnel() -> None:
    client = offering()
    tunnel(client, 1)
    (event,) = client.send(rst_stream(1))
    assert isinstance(event, Reset)
    client.engine.send_chunk(1, b"nobody there")
    tunnel(client, 3)
    client.engine.end_stream(3)
    client.frames()
    client.engine.abort(3)
    assert [(one.kind, one.code) for one in client.frames()] == [(RST_STREAM, ErrorCodes.CANCEL)]
    assert alive(client)


def test_the_end_of_the_connection_is_a_reset() -> None:
    client = offering()
    tunnel(client)
    (event,) = client.engine.receive_eof()
    assert isinstance(event, Reset)
    assert client.engine.state.should_close


def test_headers_inside_a_tunnel_are_a_stream_error() -> None:
    client = offering()
    tunnel(client)
    stream_error(PROTOCOL, headers(1, [(b"x", b"y")]), client=client)


def test_a_tunnel_is_begun_once() -> None:
    client = offering()
    tunnel(client)
    with pytest.raises(RuntimeError):
        client.engine.send_headers(1, 200, (), None)
    client.engine.end_stream(1)
    with pytest.raises(RuntimeError):
        client.engine.send_chunk(1, b"behind the end")


def test_requests_and_tunnels_share_a_connection() -> None:
    client = offering()
    tunnel(client)
    client.serve(3, (), b"hi")
    client.frames()
    assert client.answers[3].body == b"hi"
    assert client.get(5, GET).protocol == b""
    assert [one.kind for one in client.frames()] == []
    client.engine.send_response(5, 200, (), b"")
    assert [one.kind for one in client.frames()] == [HEADERS]
