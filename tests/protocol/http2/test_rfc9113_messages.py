"""What RFC 9113 section 8 and RFC 7541 demand of a server: one test per section, named after it."""

from __future__ import annotations

import pytest

from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._protocol.http2.settings import Http2Settings

from ...support.h2frames import (
    ACK,
    CLOSED,
    COMPRESSION,
    END_HEADERS,
    END_STREAM,
    FLOW,
    GET,
    HEADER_TABLE_SIZE,
    HEADERS,
    NO_ERROR,
    OPEN,
    PING,
    POST,
    PROTOCOL,
    RST_STREAM,
    Client,
    Fields,
    alive,
    connection_error,
    data,
    frame,
    headers,
    rst_stream,
    settings,
    stream_error,
    uploading,
    window_update,
)

# ---- 8 messages


def test_8_1_a_second_head_ends_the_stream() -> None:
    stream_error(PROTOCOL, headers(1, [(b"x", b"y")], OPEN), client=uploading())


def drained(client: Client, size: int) -> int:
    """Send DATA behind an early reply, as the windows allow; return how much it took to be stopped."""
    sent = 0
    windows = {0: 65535, 1: 65535}
    while sent < size:
        piece = min(16384, *windows.values())
        assert piece, "neither credit nor RST_STREAM"
        assert client.send(data(1, b"x" * piece)) == []
        sent += piece
        windows = {stream_id: window - piece for stream_id, window in windows.items()}
        for one in client.frames():
            if one.kind == RST_STREAM:
                assert one.code == NO_ERROR
                return sent
            if one.kind == PING:
                assert client.send(frame(PING, ACK, 0, one.payload)) == []
            else:
                windows[one.stream_id] += one.code
    return sent


def test_8_1_an_early_reply_lets_the_client_finish() -> None:
    client = uploading()
    client.engine.send_response(1, 403, (), b"no")
    client.frames()
    answer = client.answers[1]
    assert (answer.status, answer.body, answer.ended, answer.reset) == (403, b"no", True, None)
    assert client.engine.state.partial == 0
    assert drained(client, 1_000_000) >= 1_000_000
    assert client.send(data(1, b"x", END_STREAM)) == []
    assert alive(client)
    connection_error(CLOSED, data(1, b"x"), client=client)


def test_8_1_an_early_reply_is_followed_by_rst_stream_no_error_if_there_is_no_end() -> None:
    client = uploading()
    client.engine.send_response(1, 403, (), b"no")
    client.frames()
    assert 2**26 <= drained(client, 2**27) <= 2**26 + 2**15
    assert client.send(data(1, b"crossed")) == []
    assert alive(client)


def test_8_1_an_early_reply_is_followed_by_rst_stream_no_error_once_the_client_has_stopped() -> None:
    client = uploading()
    client.engine.send_response(1, 403, (), b"")
    asked = client.frames()[-1]
    answer = frame(PING, ACK, 0, asked.payload)
    assert (asked.kind, asked.flags) == (PING, 0)
    assert client.send(data(1, b"was under way"), answer) == []
    assert client.frames() == [asked]
    for _ in range(2):
        assert client.send(data(1, b"still sending"), answer) == []
        assert client.frames() == [asked]
        assert client.send(answer) == []
        assert client.frames() == [asked]
        assert client.send(answer) == []
        assert client.frames() == [asked]
    assert client.send(answer) == []
    assert [(one.kind, one.stream_id, one.code) for one in client.frames()] == [(RST_STREAM, 1, NO_ERROR)]
    assert client.send(answer) == []
    assert client.frames() == []


def test_8_1_few_early_replies_wait_for_their_requests() -> None:
    client = Client()
    for stream_id in range(1, 41, 2):
        client.send(headers(stream_id, POST, OPEN))
        client.engine.send_response(stream_id, 403, (), b"")
    resets = [(one.stream_id, one.code) for one in client.frames() if one.kind == RST_STREAM]
    assert resets == [(stream_id, NO_ERROR) for stream_id in range(1, 25, 2)]


@pytest.mark.parametrize("last", [rst_stream(1), headers(1, [(b"x", b"y")]), data(1, b"", END_STREAM)])
def test_8_1_a_client_may_end_its_request_behind_the_reply(last: bytes) -> None:
    client = uploading()
    client.engine.send_response(1, 403, (), b"")
    client.frames()
    assert client.send(window_update(1, 5), last) == []
    assert client.engine._streams.lingering == {}
    assert alive(client)


def test_8_1_data_beyond_the_window_behind_the_reply() -> None:
    client = Client(settings_=Http2Settings(stream_window=1000))
    client.send(headers(1, POST, OPEN))
    client.engine.send_response(1, 403, (), b"")
    client.send(data(1, b"x" * 1001))
    client.frames()
    assert client.answers[1].reset == FLOW


def malformed(fields: Fields, more: bytes = b"", flags: int = END_STREAM | END_HEADERS) -> None:
    stream_error(PROTOCOL, headers(1, fields, flags) + more)


@pytest.mark.parametrize("name", [b"X-Upper", b"x y", b"", b"x\0", b"x:y", b"x\x7f", b"\xe9", b"x\r\n"])
def test_8_2_1_illegal_names(name: bytes) -> None:
    malformed([*GET, (name, b"v")])


@pytest.mark.parametrize("value", [b"a\0", b"a\r", b"a\nb", b" a", b"a\t", b"\t", b"a\x01", b"\x7f"])
def test_8_2_1_illegal_values(value: bytes) -> None:
    malformed([*GET, (b"x", value)])


@pytest.mark.parametrize("name", [b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"])
def test_8_2_2_connection_specific_fields(name: bytes) -> None:
    malformed([*GET, (name, b"close")])


def test_8_2_2_te_is_trailers_or_nothing() -> None:
    malformed([*GET, (b"te", b"gzip")])
    malformed([*GET, (b"te", b"trailers, deflate")])
    assert Client().get(1, [*GET, (b"te", b"trailers")]).headers == [(b"te", b"trailers")]


def without(name: bytes) -> Fields:
    return [field for field in GET if field[0] != name]


@pytest.mark.parametrize(
    "fields",
    [
        [*GET, (b":unknown", b"x")],
        [*GET, (b":status", b"200")],
        [*GET, (b":protocol", b"websocket")],
        [*GET[:3], (b"x", b"y"), GET[3]],
        [(b"x", b"y"), *GET],
        *[[*GET, field] for field in GET],
        [*GET, (b":", b"x")],
    ],
)
def test_8_3_pseudo_headers_come_once_first_and_known(fields: Fields) -> None:
    malformed(fields)


def test_8_1_trailers_have_no_pseudo_headers() -> None:
    stream_error(PROTOCOL, headers(1, [(b":path", b"/admin")]), client=uploading())
    stream_error(PROTOCOL, headers(1, [(b"X", b"y")]), client=uploading())


@pytest.mark.parametrize("name", [b":method", b":scheme", b":path", b":authority"])
def test_8_3_1_what_a_request_cannot_do_without(name: bytes) -> None:
    malformed(without(name))


@pytest.mark.parametrize(
    "field",
    [
        (b":path", b""),
        (b":path", b"relative"),
        (b":path", b"*"),
        (b":path", b"/a b"),
        (b":path", b"/a\0"),
        (b":path", b"/a#b"),
        (b":path", b"http://host/"),
        (b":method", b""),
        (b":method", b"GE T"),
        (b":scheme", b""),
        (b":scheme", b"1http"),
        (b":authority", b"user@host"),
        (b":authority", b"host/path"),
        (b":authority", b"ho st"),
        (b":authority", b"host:65536"),
        (b":authority", b"host:x"),
        (b":authority", b"host:1:2"),
        (b":authority", b"host,other"),
        (b":authority", b"[::1"),
        (b":authority", b"[host]"),
        (b":authority", b"ho%zzst"),
        (b"host", b"other"),
    ],
)
def test_8_3_1_illegal_pseudo_headers(field: tuple[bytes, bytes]) -> None:
    malformed([*without(field[0]), field])


def test_8_3_1_options_may_ask_for_the_server() -> None:
    fields = [(b":method", b"OPTIONS"), (b":scheme", b"https"), (b":path", b"*"), (b":authority", b"host")]
    assert Client().get(1, fields).target == b"*"


def test_8_3_1_host_may_repeat_authority() -> None:
    assert Client().get(1, [*GET, (b"host", b"HOST")]).authority == b"host"


@pytest.mark.parametrize("name", [b":authority", b"host"])
@pytest.mark.parametrize("value", [b"localhost:8080", b"[::1]:8080", b"[::1]", b"a.example.", b"h%C3%B6st", b"host:"])
def test_8_3_1_either_name_takes_what_http1_takes(name: bytes, value: bytes) -> None:
    fields = [(name, value)]
    assert Client().get(1, [*GET[:3], *fields]).authority == value


def test_8_3_1_host_comes_once() -> None:
    malformed([*GET[:3], (b"host", b"host"), (b"host", b"host")])


@pytest.mark.parametrize(
    "fields",
    [
        [(b":method", b"CONNECT")],
        [(b":method", b"CONNECT"), (b":authority", b"a:1"), (b":path", b"/")],
        [(b":method", b"CONNECT"), (b":authority", b"a:1"), (b":scheme", b"https")],
        [(b":method", b"CONNECT"), (b":authority", b"a")],
        [(b":method", b"CONNECT"), (b":authority", b"a:")],
    ],
)
def test_8_5_connect_names_an_authority_alone(fields: Fields) -> None:
    malformed(fields)


CONNECT: Fields = [(b":method", b"CONNECT"), (b":authority", b"a:1")]


def test_8_5_connect_is_answered_before_the_stream_ends() -> None:
    """What follows is a tunnel's: there is no end to wait for."""
    client = Client()
    (message,) = client.send(headers(1, CONNECT, OPEN))
    assert isinstance(message, Message)
    assert (message.complete, message.body, client.engine.unfinished()) == (True, b"", [])
    assert client.send(data(1, b"tunnelled")) == []
    client.engine.send_response(1, 404, (), b"no")
    client.frames()
    assert (client.answers[1].status, client.answers[1].body, client.answers[1].ended) == (404, b"no", True)
    assert client.send(data(1, b"more", END_STREAM)) == []
    assert alive(client)
    assert client.engine.state.partial == 0


@pytest.mark.parametrize("flags", [OPEN, OPEN | END_STREAM])
@pytest.mark.parametrize("given", [(), ((b"content-length", b"3"),)])
@pytest.mark.parametrize("whole", [True, False])
def test_9110_8_6_an_accepted_connect_has_no_length_and_no_content(
    flags: int, given: tuple[tuple[bytes, bytes], ...], whole: bool
) -> None:
    client = Client()
    client.send(headers(1, CONNECT, flags))
    if whole:
        client.engine.send_response(1, 200, given, b"abc")
    else:
        client.engine.send_headers(1, 200, given, 3)
        client.engine.send_chunk(1, b"abc")
        client.engine.end_stream(1)
    client.frames()
    found = client.answers[1]
    assert (found.status, found.fields, found.body, found.ended) == (200, [], b"", True)


# ---- 8.1.1 malformed messages: content-length


@pytest.mark.parametrize("length", [b"", b"-1", b"+3", b"3, 3", b"0x3", b"3.0", b"9" * 30, b"\xb2"])
def test_8_1_1_illegal_content_length(length: bytes) -> None:
    malformed([*POST, (b"content-length", length)], flags=OPEN)


def test_8_1_1_repeated_content_length() -> None:
    malformed([*POST, (b"content-length", b"3"), (b"content-length", b"3")], flags=OPEN)


@pytest.mark.parametrize(
    "body",
    [
        data(1, b"xx", END_STREAM),
        data(1, b"xxxx", END_STREAM),
        data(1, b"xx") + data(1, b"xx", END_STREAM),
        data(1, b"x") + data(1, b"x", END_STREAM),
        data(1, b"x") + headers(1, [(b"x", b"y")]),
    ],
)
def test_8_1_1_content_length_that_does_not_match(body: bytes) -> None:
    stream_error(PROTOCOL, body, client=uploading([*POST, (b"content-length", b"3")]))


def test_8_1_1_content_length_without_content() -> None:
    malformed([*POST, (b"content-length", b"3")])
    assert Client().get(1, [*POST, (b"content-length", b"0")]).complete


def test_8_4_a_server_does_not_push() -> None:
    assert b"\0\2\0\0\0\0" in Client(greet=False).engine.data_to_send()


# ---- RFC 7541

PSEUDO = b"\x82\x84\x87\x41\x04host"  # GET, /, https, :authority into the table


@pytest.mark.parametrize(
    "field",
    [
        b"\xbe" * 2,  # indexed, dynamic
        b"\x90",  # indexed, static
        b"\x40\1x\1y",  # literal, inserted, new name
        b"\x7a\1y",  # literal, inserted, static name
        b"\0\1x\1y",  # literal, not inserted
        b"\x0f\x2b\1y",  # the same, static name
        b"\x10\1x\1y",  # literal, never indexed
        b"\x1f\x2b\1y",
        b"\0\x81\xf3\x81\x07",  # Huffman, both
    ],
)
def test_hpack_6_every_representation(field: bytes) -> None:
    client = Client()
    first = b"\x40\1x\1y"
    client.send(frame(HEADERS, 5, 1, PSEUDO + first))
    (event,) = client.send(frame(HEADERS, 5, 3, PSEUDO[:3] + b"\xbf" + field))
    assert isinstance(event, Message)
    assert len(event.headers) in {1, 2}


@pytest.mark.parametrize(
    "index", [b"\x80", b"\xc0", b"\xff\x00", b"\x7f\x80\x10\0", b"\x0f\xff\xff\xff\xff\xff\xff\x01"]
)
def test_hpack_2_3_3_an_index_outside_the_tables(index: bytes) -> None:
    connection_error(COMPRESSION, frame(HEADERS, 5, 1, PSEUDO + index))


def test_hpack_4_2_a_size_update_comes_first() -> None:
    client = Client()
    assert client.send(frame(HEADERS, 5, 1, b"\x20\x3f\xe1\x1f" + PSEUDO))[0].stream_id == 1
    connection_error(COMPRESSION, frame(HEADERS, 5, 3, PSEUDO + b"\x20"), client=client)


def test_hpack_4_3_a_size_update_evicts() -> None:
    client = Client()
    client.send(frame(HEADERS, 5, 1, PSEUDO))
    connection_error(COMPRESSION, frame(HEADERS, 5, 3, b"\x20" + PSEUDO[:3] + b"\xbe"), client=client)


def test_hpack_4_4_an_entry_larger_than_the_table_empties_it() -> None:
    client = Client()
    client.send(frame(HEADERS, 5, 1, PSEUDO))
    large = b"\x40\1x\x7f" + b"\x81\x1f" + b"y" * 4096
    (message,) = client.send(frame(HEADERS, 5, 3, PSEUDO[:3] + b"\xbe" + large))
    assert isinstance(message, Message)
    assert message.headers == [(b"x", b"y" * 4096)]
    connection_error(COMPRESSION, frame(HEADERS, 5, 5, PSEUDO[:3] + b"\xbe"), client=client)


@pytest.mark.parametrize(
    "text",
    [
        b"\x82\xf3\xff",  # more than seven bits of padding
        b"\x81\x00" + b"",  # padded with zeros: '0' and 000
        b"\x84\xff\xff\xff\xff",  # EOS
    ],
)
def test_hpack_5_2_illegal_huffman_code(text: bytes) -> None:
    connection_error(COMPRESSION, frame(HEADERS, 5, 1, PSEUDO + b"\0\1x" + text))


def test_hpack_6_3_a_size_above_the_setting() -> None:
    connection_error(COMPRESSION, frame(HEADERS, 5, 1, b"\x3f\xe2\x1f" + PSEUDO))


def test_hpack_our_size_updates_follow_the_clients_setting() -> None:
    client = Client()
    client.send(settings((HEADER_TABLE_SIZE, 0)))
    client.decoder.max_allowed_table_size = 0
    client.serve(1, (), b"")
    client.frames()
    assert client.decoder.header_table_size == 0
    assert client.answers[1].status == 200
