"""Replies over HTTP/2: heads, bodies, trailers, windows, turns."""

from __future__ import annotations

import pytest

from qhttpserver_py._protocol.engine import Refusal, Reset
from qhttpserver_py._protocol.http2.settings import Http2Settings

from ...support.h2frames import (
    CONTINUATION,
    DATA,
    GET,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE,
    SETTINGS,
    TEXT,
    Client,
    Fields,
    rst_stream,
    settings,
    wide,
    window_update,
)

# ---- replies


def answer(client: Client, stream_id: int = 1) -> tuple[int, Fields, bytes, bool]:
    client.frames()
    found = client.answers[stream_id]
    return found.status, found.fields, found.body, found.ended


def test_a_reply_has_date_before_content_length() -> None:
    client = Client()
    client.serve(1, TEXT, b"hello")
    frames = client.frames()
    assert [(one.kind, one.ends) for one in frames] == [(HEADERS, False), (DATA, True)]
    names = [name for name, _ in client.answers[1].heads[0]]
    assert names == [b":status", b"content-type", b"date", b"content-length"]
    assert client.answers[1].body == b"hello"


@pytest.mark.parametrize(
    ("status", "given", "body", "fields", "sent"),
    [
        (200, [], b"", [(b"content-length", b"0")], b""),
        (404, list(TEXT), b"no", [*TEXT, (b"content-length", b"2")], b"no"),
        (204, list(TEXT), b"x", [*TEXT], b""),
        (205, [], b"x", [(b"content-length", b"0")], b""),
        (304, [(b"etag", b'"1"')], b"x", [(b"etag", b'"1"')], b""),
        (304, [(b"content-length", b"7")], b"", [(b"content-length", b"7")], b""),
        (304, [(b"Content-Type", b"application/x-empty")], b"", [], b""),  # RFC 9111 3.2: it would replace the true one
        (304, [(b"content-type", b"a/b")], b"", [(b"content-type", b"a/b")], b""),
        (200, [(b"content-length", b"99")], b"abc", [(b"content-length", b"3")], b"abc"),
        (200, [(b"X-MiXeD", b" v\t")], b"", [(b"x-mixed", b"v"), (b"content-length", b"0")], b""),
        (799, [], b"", [(b"content-length", b"0")], b""),
        *[
            (200, [(name, b"x")], b"", [(b"content-length", b"0")], b"")
            for name in (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"te")
        ],
    ],
)
def test_heads_of_replies(status: int, given: Fields, body: bytes, fields: Fields, sent: bytes) -> None:
    for _ in range(3):  # rendered, inserted, kept
        client = Client()
        for stream_id in (1, 3, 5, 7):
            client.get(stream_id)
            client.engine.send_response(stream_id, status, given, body)
            assert answer(client, stream_id) == (status, fields, sent, True)


@pytest.mark.parametrize("status", [100, 101, 199, 0, -5, 1000])
def test_a_status_that_cannot_end_a_stream_becomes_500(status: int) -> None:
    client = Client()
    client.get(1)
    client.engine.send_response(1, status, TEXT, b"x")
    assert answer(client)[0] == 500


def test_a_users_date_replaces_ours() -> None:
    client = Client()
    client.serve(1, [(b"date", b"today")], b"")
    client.frames()
    assert [value for name, value in client.answers[1].heads[0] if name == b"date"] == [b"today"]


@pytest.mark.parametrize("field", [(b"x", b"a\r\nb"), (b"x", b"\0"), (b"x y", b""), (b"", b"")])
def test_a_field_that_must_not_be_sent_is_refused_at_the_call(field: tuple[bytes, bytes]) -> None:
    client = Client()
    client.get(1)
    with pytest.raises(ValueError, match="header"):
        client.engine.send_response(1, 200, [field], b"")
    client.engine.send_response(1, 500, (), b"")
    assert answer(client)[0] == 500


@pytest.mark.parametrize("own", [b"", b"12"])
@pytest.mark.parametrize("body", [b"", b"12345"])
def test_head_gets_the_length_that_get_would_and_no_data(own: bytes, body: bytes) -> None:
    client = Client()
    client.get(1, [(b":method", b"HEAD"), *GET[1:]])
    client.engine.send_response(1, 200, [(b"content-length", own)] if own else [], body)
    length = b"%d" % len(body) if body or not own else own  # RFC 9110 8.6; without a body it is the handler's to know
    assert answer(client) == (200, [(b"content-length", length)], b"", True)


def test_head_of_a_stream_ends_at_once() -> None:
    client = Client()
    client.get(1, [(b":method", b"HEAD"), *GET[1:]])
    client.engine.send_headers(1, 200, TEXT, 10)
    client.engine.send_chunk(1, b"1234567890")
    client.engine.end_stream(1, [(b"x", b"y")])
    assert answer(client) == (200, [*TEXT, (b"content-length", b"10")], b"", True)


@pytest.mark.parametrize("own", [b"3", b"6", b"99"])
def test_chunks_are_not_announced_with_a_length_of_the_handlers(own: bytes) -> None:
    """RFC 9113 8.1.1: one that is not the sum of the DATA makes the reply malformed; HTTP/1.1 leaves it out too."""
    client = Client()
    client.get(1)
    client.engine.send_headers(1, 200, [*TEXT, (b"Content-Length", own)], None)
    client.engine.send_chunk(1, b"abc")
    client.engine.send_chunk(1, b"def")
    client.engine.end_stream(1)
    assert answer(client) == (200, list(TEXT), b"abcdef", True)


@pytest.mark.parametrize("status", [200, 304])
def test_a_stream_without_content_keeps_the_handlers_length(status: int) -> None:
    client = Client()
    client.get(1, [(b":method", b"HEAD"), *GET[1:]])
    client.engine.send_headers(1, status, [(b"content-length", b"99")], None)
    assert answer(client) == (status, [(b"content-length", b"99")], b"", True)


def test_chunks_are_data_and_the_end_is_empty() -> None:
    client = Client()
    client.get(1)
    client.engine.send_headers(1, 200, TEXT, None)
    client.engine.send_chunk(1, b"one")
    client.engine.send_chunk(1, b"")
    client.engine.send_chunk(1, b"two")
    frames = client.frames()
    client.engine.end_stream(1)
    frames += client.frames()
    assert [(one.kind, one.payload, one.ends) for one in frames[1:]] == [
        (DATA, b"one", False),
        (DATA, b"two", False),
        (DATA, b"", True),
    ]


def test_an_end_in_the_same_turn_rides_on_the_last_data() -> None:
    client = Client()
    client.get(1)
    client.engine.send_headers(1, 200, TEXT, 3)
    client.engine.send_chunk(1, b"one")
    client.engine.end_stream(1)
    assert [(one.kind, one.ends) for one in client.frames()] == [(HEADERS, False), (DATA, True)]


@pytest.mark.parametrize("chunk", [b"", b"abc", b"x" * 70000])
def test_trailers_end_the_stream(chunk: bytes) -> None:
    client = Client()
    client.get(1)
    client.engine.send_headers(1, 200, [(b"trailer", b"x-sum")], None)
    client.engine.send_chunk(1, chunk)
    client.engine.end_stream(1, [(b"X-Sum", b"1"), (b"content-length", b"9"), (b"connection", b"close")])
    client.frames()
    client.send(window_update(0, 100000), window_update(1, 100000))
    client.frames()
    found = client.answers[1]
    assert found.heads[1] == [(b"x-sum", b"1")]
    assert (found.body, found.ended) == (chunk, True)
    assert client.get(3)


@pytest.mark.parametrize("chunks", [[b"abc"], [b"abcdef", b"g"]])
def test_a_length_that_does_not_come_true_resets(chunks: list[bytes]) -> None:
    client = Client()
    client.get(1)
    client.engine.send_headers(1, 200, TEXT, 6)
    for chunk in chunks:
        client.engine.send_chunk(1, chunk)
    client.engine.end_stream(1)
    client.frames()
    assert client.answers[1].reset == 2
    assert not client.answers[1].ended


def test_abort_resets_with_internal_error() -> None:
    client = Client()
    client.get(1)
    client.engine.send_headers(1, 200, TEXT, None)
    client.engine.send_chunk(1, b"abc")
    client.engine.abort(1)
    client.engine.abort(1)
    client.frames()
    assert client.answers[1].reset == 2
    assert client.engine.held == 0


def test_misuse_raises() -> None:
    client = Client()
    client.get(1)
    with pytest.raises(RuntimeError):
        client.engine.send_chunk(1, b"x")
    with pytest.raises(RuntimeError):
        client.engine.end_stream(1)
    client.engine.send_headers(1, 200, TEXT, None)
    with pytest.raises(RuntimeError):
        client.engine.send_response(1, 200, TEXT, b"")


def test_replies_to_a_closed_stream_are_ignored() -> None:
    client = Client()
    client.get(1)
    assert [type(event) for event in client.send(rst_stream(1))] == [Reset]
    client.engine.send_response(1, 200, TEXT, b"x")
    client.engine.send_headers(1, 200, TEXT, None)
    client.engine.send_chunk(1, b"x")
    client.engine.end_stream(1)
    client.engine.refuse(Refusal(1, 413, ""))
    client.engine.consumed(1, 5)
    assert client.engine.backlog(1) == 0
    assert client.frames() == []


def test_replies_in_any_order() -> None:
    client = Client()
    for stream_id in (1, 3, 5):
        client.get(stream_id)
    for stream_id in (5, 1, 3):
        client.engine.send_response(stream_id, 200, (), b"%d" % stream_id)
    assert [one.stream_id for one in client.frames() if one.kind == DATA] == [5, 1, 3]


def test_a_large_head_goes_on_in_continuations() -> None:
    client = Client()
    client.get(1)
    fields = [(b"x-%d" % number, b"\xff" * 3000) for number in range(20)]
    client.engine.send_response(1, 200, fields, b"ok")
    kinds = [one.kind for one in client.frames()]
    assert kinds[:2] == [HEADERS, CONTINUATION]
    assert set(kinds[1:-1]) == {CONTINUATION}
    assert client.answers[1].fields[:-1] == fields


def test_a_head_larger_than_the_client_takes_becomes_500() -> None:
    client = Client()
    client.send(settings((MAX_HEADER_LIST_SIZE, 300)))
    client.serve(1, [(b"x", b"y" * 200)], b"body")
    assert answer(client)[0::2] == (500, b"")


@pytest.mark.parametrize("huffman", [True, False])
def test_huffman_is_used_only_if_configured(huffman: bool) -> None:
    client = Client(settings_=Http2Settings(huffman=huffman))
    client.serve(1, TEXT, b"")
    (head,) = client.frames()
    assert (b"text/plain" in head.payload) is not huffman


@pytest.mark.parametrize("size", [0, 100, 4096, 65536])
def test_the_clients_table_size_is_heeded(size: int) -> None:
    client = Client()
    for stream_id in (1, 3, 5):
        client.serve(stream_id, TEXT, b"")
    client.frames()
    client.send(settings((1, size)))
    client.decoder.max_allowed_table_size = size
    for stream_id in (7, 9, 11, 13):
        client.serve(stream_id, [*TEXT, (b"x", b"y" * stream_id)], b"")
        assert answer(client, stream_id)[1][0] == TEXT[0]


def test_secrets_never_enter_a_table() -> None:
    client = Client()
    sizes = []
    for stream_id in (1, 3, 5):
        client.serve(stream_id, [(b"set-cookie", b"secret=123456")], b"")
        sizes.append(len(client.frames()[0].payload))
    assert len(set(sizes)) == 1


# ---- flow control of replies


def test_windows_hold_bodies_back_which_the_backlog_counts() -> None:
    client = Client()
    client.serve(1, TEXT, b"x" * 1_000_000)
    client.frames()
    assert len(client.answers[1].body) == 65535
    assert client.engine.backlog(1) == client.engine.held == 1_000_000 - 65535
    client.send(window_update(0, 100))
    assert client.frames() == []
    client.send(window_update(1, 60))
    assert [len(one.payload) for one in client.frames()] == [60]
    client.send(settings((INITIAL_WINDOW_SIZE, 65535 + 30)))
    assert [len(one.payload) for one in client.frames() if one.kind == DATA] == [30]
    wide(client)
    client.frames()
    assert client.answers[1].body == b"x" * 1_000_000
    assert client.answers[1].ended
    assert client.engine.backlog(1) == client.engine.held == 0


def test_frames_never_exceed_what_the_client_takes() -> None:
    client = Client()
    wide(client)
    client.serve(1, TEXT, b"x" * 100_000)
    assert max(len(one.payload) for one in client.frames()) == 16384
    client.send(settings((MAX_FRAME_SIZE, 50000)))
    client.serve(3, TEXT, b"x" * 100_000)
    assert max(len(one.payload) for one in client.frames()) == 50000


def test_a_small_reply_does_not_wait_for_a_large_one() -> None:
    client = Client()
    wide(client)
    client.serve(1, TEXT, bytes(10_000_000))
    client.engine.data_to_send(100_000)
    client.serve(3, TEXT, b"small")
    wire = client.engine.data_to_send(100_000)
    assert b"small" in wire
    assert wire.index(b"small") < 2 * 16384 + 200
    assert len(wire) < 150_000
    assert client.engine.can_send
    while client.engine.can_send:
        client.engine.data_to_send(1_000_000)
    assert client.engine.held == 0


def test_streams_take_turns() -> None:
    client = Client()
    client.send(settings((INITIAL_WINDOW_SIZE, 2**31 - 1)))
    for stream_id in (1, 3, 5):
        client.serve(stream_id, TEXT, bytes(300_000))
    client.frames()
    client.send(window_update(0, 16384 * 6))
    assert [one.stream_id for one in client.frames()] in ([5, 1, 3, 5, 1, 3], [1, 3, 5] * 2, [3, 5, 1] * 2)


def test_replies_that_wait_for_the_clients_windows_are_known() -> None:
    client = Client()
    client.send(settings((INITIAL_WINDOW_SIZE, 3)))
    for stream_id in (1, 3, 5):
        client.get(stream_id)
    client.engine.send_response(1, 200, (), b"1234")
    client.engine.send_headers(3, 200, (), None)  # waits for the handler
    client.engine.send_response(5, 200, (), b"123")
    waits = client.engine.waits
    assert waits.starved() == []  # not before they had their turn
    client.frames()
    assert waits.starved() == [(1, 3)]
    assert waits.behind(1) == [1]
    client.send(window_update(1, 1))
    client.frames()
    assert waits.starved() == []


def test_replies_that_wait_for_the_connections_window_are_known() -> None:
    client = Client()
    client.send(settings((INITIAL_WINDOW_SIZE, 2**31 - 1)))
    for stream_id in (1, 3):
        client.serve(stream_id, (), bytes(50_000))
    client.get(5)
    client.frames()
    waits = client.engine.waits
    assert waits.starved() == [(0, 65535)]
    assert set(waits.behind(0)) <= {1, 3}
    assert waits.behind(0)
    client.send(window_update(0, 100))
    client.frames()
    assert waits.starved() == [(0, 65635)]


def test_a_closed_stream_window_does_not_stop_the_others() -> None:
    client = Client()
    client.send(settings((INITIAL_WINDOW_SIZE, 0)))
    for stream_id in (1, 3):
        client.serve(stream_id, TEXT, b"abc")
    assert {one.kind for one in client.frames()} == {SETTINGS, HEADERS}
    client.send(window_update(3, 3))
    assert [(one.stream_id, one.payload) for one in client.frames()] == [(3, b"abc")]
    client.send(window_update(1, 3))
    assert [(one.stream_id, one.payload) for one in client.frames()] == [(1, b"abc")]


def test_a_reset_frees_the_backlog() -> None:
    client = Client()
    client.serve(1, TEXT, bytes(1_000_000))
    client.frames()
    client.send(rst_stream(1))
    client.send(window_update(0, 1_000_000))
    assert client.engine.held == 0
    assert client.frames() == []
    assert client.get(3)


def test_caches_are_bounded_and_stay_right() -> None:
    client = Client()
    for number in range(400):
        stream_id = 2 * number + 1
        path = b"/%d" % (number % 90)
        assert client.get(stream_id, [*GET[:2], (b":path", path), GET[3]]).target == path
        fields = [(b"x-%d" % (number % 200), b"v")]
        client.engine.send_response(stream_id, 200 + number % 90, fields, b"x" * (number % 90 + 1))
        expected = [*fields, (b"content-length", b"%d" % (number % 90 + 1))]
        if (200 + number % 90) not in {204, 205}:
            assert answer(client, stream_id)[:2] == (200 + number % 90, expected)
    encoder = client.engine._outbox.encoder
    assert max(len(encoder._kept), len(encoder._lengths)) <= 64
    assert len(encoder._seen) <= 256
    assert len(client.engine._receiver.heads._kept) <= 32


def test_many_unique_fields_do_not_pile_up() -> None:
    client = Client()
    for number in range(600):
        client.get(2 * number + 1)
        client.engine.send_response(2 * number + 1, 200, [(b"etag", b"%d" % number)], b"")
        assert answer(client, 2 * number + 1)[1][0] == (b"etag", b"%d" % number)
    assert len(client.engine._outbox.encoder._seen) <= 256


def test_a_stream_reset_while_it_waits_for_its_turn_is_passed_over() -> None:
    client = Client()
    client.send(settings((INITIAL_WINDOW_SIZE, 2**31 - 1)))
    for stream_id in (1, 3, 5):
        client.serve(stream_id, TEXT, bytes(70_000))
    client.frames()
    client.engine.abort(3)
    client.send(settings((INITIAL_WINDOW_SIZE, 1)), window_update(0, 200_000))
    client.frames()
    client.send(window_update(1, 2**30), window_update(5, 2**30))
    client.frames()
    assert [(len(client.answers[n].body), client.answers[n].ended) for n in (1, 5)] == [(70_000, True)] * 2
    assert not client.answers[3].ended
    assert client.engine.held == 0


def test_a_stream_that_begins_with_an_interim_status_is_a_500() -> None:
    client = Client()
    client.get(1)
    client.engine.send_headers(1, 103, TEXT, None)
    client.engine.send_chunk(1, b"ignored")
    client.engine.end_stream(1)
    assert answer(client)[0::2] == (500, b"")


# ---- interim responses (RFC 9110 15.2, RFC 9113 8.1)

HINT = (b"Link", b"</style.css>; rel=preload")


def test_interim_responses_come_before_the_reply() -> None:
    client = Client()
    client.get(1)
    for _ in range(3):  # literal, inserted, from the table
        client.engine.send_interim(1, 103, [HINT, (b"content-length", b"5"), (b"connection", b"close")])
    client.engine.send_interim(1, 102, ())
    client.engine.send_response(1, 200, TEXT, b"hi")
    frames = client.frames()
    assert [one.ends for one in frames] == [False, False, False, False, False, True]
    hints, processing = [(b":status", b"103"), (b"link", HINT[1])], [(b":status", b"102")]
    assert client.answers[1].heads[:4] == [hints, hints, hints, processing]
    assert dict(client.answers[1].heads[4])[b":status"] == b"200"


@pytest.mark.parametrize("status", [0, 99, 101, 200, 1000])
def test_a_status_that_is_not_interim_is_refused_at_the_call(status: int) -> None:
    client = Client()
    client.get(1)
    with pytest.raises(ValueError, match="interim"):
        client.engine.send_interim(1, status, ())


def test_an_interim_response_with_a_bad_field_leaves_the_stream_as_it_was() -> None:
    client = Client()
    client.get(1)
    with pytest.raises(ValueError, match="header"):
        client.engine.send_interim(1, 103, [HINT, (b"x", b"a\r\nb")])
    assert client.frames() == []
    client.engine.send_response(1, 200, (), b"")
    assert answer(client)[0] == 200


def test_no_interim_response_follows_the_replys_head_or_goes_to_a_closed_stream() -> None:
    client = Client()
    client.get(1)
    client.engine.send_headers(1, 200, (), None)
    with pytest.raises(RuntimeError, match="already begun"):
        client.engine.send_interim(1, 103, ())
    client.engine.end_stream(1)
    client.frames()
    client.engine.send_interim(1, 103, [HINT])
    assert client.frames() == []


def test_an_interim_response_larger_than_the_client_takes_is_left_out() -> None:
    client = Client()
    client.send(settings((MAX_HEADER_LIST_SIZE, 250)))
    client.get(1)
    client.engine.send_interim(1, 103, [(b"link", b"x" * 300)])
    client.engine.send_response(1, 200, (), b"")
    assert answer(client)[0] == 200
