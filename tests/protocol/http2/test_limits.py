"""What the HTTP/2 engine refuses for its size, and how the refusal reaches the client."""

from __future__ import annotations

import pytest

from qhttpserver_py._protocol.engine import Message, Refusal

from ...support.h2frames import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    GET,
    GOAWAY,
    HEADERS,
    OPEN,
    POST,
    TEXT,
    Client,
    Fields,
    alive,
    block,
    data,
    frame,
    headers,
    limits,
)

# ---- limits

REFUSED: list[tuple[str, dict[str, int], Fields, int]] = [
    ("url", {"url_size": 5}, [*GET[:2], (b":path", b"/12345"), GET[3]], 414),
    ("url-fits", {"url_size": 6, "field_size": 3}, [*GET[:2], (b":path", b"/12345")], 431),
    ("field", {"field_size": 20}, [*GET, (b"x", b"y" * 20)], 431),
    ("field-fits", {"field_size": 21}, [*GET, (b"x", b"y" * 20)], 0),
    ("count", {"field_count": 1}, [*GET, (b"x", b"y"), (b"z", b"")], 431),
    ("count-fits", {"field_count": 1}, [*GET, (b"x", b"y")], 0),  # pseudo-fields are not counted
    ("count-none", {"field_count": 0}, GET, 0),
    ("total", {"header_size": 41}, GET, 431),
    ("total-fits", {"header_size": 42}, GET, 0),
    ("huge-but-decodable", {}, [*GET, *[(b"x-%d" % i, b"y" * 10000) for i in range(20)]], 431),
    ("no-limits", {"header_size": -1, "field_size": -1, "field_count": -1, "url_size": -1}, GET, 0),
]


@pytest.mark.parametrize(("given", "fields", "status"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
@pytest.mark.parametrize("ends", [True, False])
def test_heads_beyond_a_limit(given: dict[str, int], fields: Fields, status: int, ends: bool) -> None:
    if given.get("field_size") == 3:
        fields = [*fields, (b":authority", b"host")]
    client = Client(limits(**given))
    encoded = block(fields)
    parts = [encoded[i : i + 16384] for i in range(0, len(encoded), 16384)]
    wire = frame(HEADERS, END_STREAM * ends | END_HEADERS * (len(parts) == 1), 1, parts[0])
    for number, part in enumerate(parts[1:], 2):
        wire += frame(CONTINUATION, END_HEADERS * (number == len(parts)), 1, part)
    (event,) = client.send(wire)
    if not status:
        assert isinstance(event, Message)
        return
    assert isinstance(event, Refusal)
    assert (event.stream_id, event.status) == (1, status)
    client.engine.refuse(event)
    client.frames()
    answer = client.answers[1]
    assert answer.status == status
    assert answer.fields == [(b"content-length", b"0")]
    assert (answer.ended, answer.body) == (True, b"")
    assert answer.reset is None


def test_a_content_length_beyond_the_limit_is_refused_at_the_head() -> None:
    client = Client(limits(body_size=10))
    (event,) = client.send(headers(1, [*POST, (b"content-length", b"11")], OPEN), data(1, b"x" * 11, END_STREAM))
    assert isinstance(event, Refusal)
    assert event.status == 413
    client.engine.refuse(event)
    client.frames()
    assert client.answers[1].status == 413
    assert client.answers[1].reset is None


def test_a_body_that_grows_beyond_the_limit_is_refused_and_its_rest_ignored() -> None:
    client = Client(limits(body_size=10))
    (head,) = client.send(headers(1, POST, OPEN), data(1, b"x" * 10))
    assert isinstance(head, Message)
    (event,) = client.send(data(1, b"!"))
    assert isinstance(event, Refusal)
    assert (event.stream_id, event.status) == (1, 413)
    assert client.send(data(1, b"more" * 1000)) == []
    client.engine.refuse(event)
    client.frames()
    assert (client.answers[1].status, client.answers[1].ended, client.answers[1].reset) == (413, True, None)
    assert client.send(data(1, b"crossed"), headers(1, [(b"x", b"y")])) == []
    assert client.get(3).stream_id == 3
    assert client.engine.state.partial == 0


def test_the_limit_may_depend_on_the_message() -> None:
    client = Client(limits(body_size=10))
    asked = []
    client.engine.body_limit = lambda message: asked.append(message) or -1  # type: ignore[func-returns-value]
    (message,) = client.send(headers(1, POST, OPEN), data(1, b"x" * 1000, END_STREAM))
    assert asked == [message]
    assert client.get(3)
    assert asked == [message]


def test_trailers_beyond_the_limits_are_refused() -> None:
    client = Client(limits(field_size=50))
    client.send(headers(1, POST, OPEN))
    (event,) = client.send(headers(1, [(b"x", b"y" * 50)]))
    assert isinstance(event, Refusal)
    assert event.status == 431
    client.engine.refuse(event)
    client.frames()
    assert client.answers[1].status == 431


def test_a_refusal_behind_a_begun_reply_resets() -> None:
    client = Client(limits(body_size=10))
    client.send(headers(1, POST, OPEN))
    client.engine.send_headers(1, 200, TEXT, None)
    (event,) = client.send(data(1, b"x" * 11))
    assert isinstance(event, Refusal)
    client.engine.refuse(event)
    client.frames()
    assert client.answers[1].reset == 2


def test_a_refusal_of_the_connection_sends_goaway() -> None:
    client = Client()
    client.engine.refuse(Refusal(0, 408, "too slow"))
    assert client.frames()[-1].kind == GOAWAY
    assert client.engine.state.should_close


def test_what_comes_between_a_refusal_and_its_answer_is_dropped() -> None:
    client = Client(limits(body_size=10))
    (event,) = client.send(headers(1, POST, OPEN), data(1, b"x" * 11), data(1, b"y" * 100, END_STREAM))
    assert isinstance(event, Refusal)
    client.engine.refuse(event)
    client.frames()
    assert (client.answers[1].status, client.answers[1].reset) == (413, None)
    (event,) = client.send(headers(3, POST, OPEN), data(3, b"x" * 11, END_STREAM))
    assert isinstance(event, Refusal)
    (event,) = client.send(headers(5, POST, OPEN), data(5, b"x" * 11), headers(5, [(b"x", b"y")]))
    assert isinstance(event, Refusal)
    assert event.status == 413
    assert client.engine.state.partial == 0


def test_resets_are_remembered_in_bounds() -> None:
    client = Client()
    for stream_id in range(1, 1201, 2):
        client.send(headers(stream_id, POST, OPEN))
        client.engine.abort(stream_id)
        client.frames()
    assert len(client.engine._streams.history._resets) == 512
    assert client.send(data(1199, b"crossed")) == []
    assert client.send(data(1, b"long ago")) != []
    assert client.engine.state.should_close


@pytest.mark.parametrize("body", [True, False])
@pytest.mark.parametrize("values", [[b"tea"], [b""], [b"100-continue", b"tea"], [b"100-continue, tea"]])
def test_an_unknown_expectation_is_417(values: list[bytes], body: bool) -> None:
    client = Client()
    (event,) = client.send(
        headers(1, [*POST, *[(b"expect", value) for value in values]], OPEN if body else OPEN | END_STREAM)
    )
    assert isinstance(event, Refusal)
    assert event.status == 417
    client.engine.refuse(event)
    client.frames()
    assert client.answers[1].status == 417
    assert alive(client)


def test_100_continue_is_met_in_any_case() -> None:
    (message,) = Client().send(headers(1, [*POST, (b"expect", b"100-Continue")], OPEN))
    assert isinstance(message, Message)
    assert message.expects_continue
