"""QHttpServerResponder: every form of its calls, its life as a table, late and from other threads."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest
import shiboken6
from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QJsonDocument, QTimer
from PySide6.QtNetwork import QHttpHeaders

from qhttpserver_py import QHttpServer, QHttpServerResponder, QHttpServerResponse

from .support.kept import kept_responder
from .support.rawclient import RawClient, Reply, ask, bound, logged, reported, spin

pytestmark = pytest.mark.usefixtures("qapp")

Code = QHttpServerResponder.StatusCode
Act = Callable[[QHttpServerResponder], Any]
AUTOMATIC = ("date", "connection", "keep-alive")


def fields(*pairs: tuple[str, str]) -> QHttpHeaders:
    headers = QHttpHeaders()
    for name, value in pairs:
        assert headers.append(name, value)
    return headers


def answered(act: Act, **kwargs: Any) -> Reply:
    server = QHttpServer()
    server.route("/", lambda _request, responder: act(responder))
    return ask(bound(server), "/", **kwargs)


def own(reply: Reply) -> list[Any]:
    """The reply's fields without those that every reply has."""
    return [field for field in reply.fields if field[0] not in AUTOMATIC]


DOCUMENT = QJsonDocument.fromJson(b'{"a":1}')
TEXT = ("content-type", "text/plain")


@pytest.mark.parametrize(
    ("act", "status", "expected", "body"),
    [
        (lambda r: r.write(), 200, [("content-type", "application/x-empty"), ("content-length", "0")], b""),
        (lambda r: r.write(Code.Gone), 410, [("content-type", "application/x-empty"), ("content-length", "0")], b""),
        (lambda r: r.write(status=299), 299, [("content-type", "application/x-empty"), ("content-length", "0")], b""),
        (lambda r: r.write(fields(("X-A", "1"))), 200, [("x-a", "1"), ("content-length", "0")], b""),
        (lambda r: r.write(fields(("X-A", "1")), Code.Accepted), 202, [("x-a", "1"), ("content-length", "0")], b""),
        (
            lambda r: r.write(DOCUMENT),
            200,
            [("content-type", "application/json"), ("content-length", "15")],
            b'{\n    "a": 1\n}\n',
        ),
        (
            lambda r: r.write(DOCUMENT, fields(("Content-Type", "x/y"), ("X-A", "1")), Code.Created),
            201,
            [("x-a", "1"), ("content-type", "application/json"), ("content-length", "15")],
            b'{\n    "a": 1\n}\n',
        ),
        (lambda r: r.write(b"abc", b"text/plain"), 200, [TEXT, ("content-length", "3")], b"abc"),
        (
            lambda r: r.write(QByteArray(b"abc"), QByteArray(b"text/plain"), 201),
            201,
            [TEXT, ("content-length", "3")],
            b"abc",
        ),
        (
            lambda r: r.write("é", "text/plain", status=Code.Conflict),
            409,
            [TEXT, ("content-length", "2")],
            "é".encode(),
        ),
        (lambda r: r.write(b"abc", b""), 200, [("content-type", ""), ("content-length", "3")], b"abc"),
        (lambda r: r.write(b"abc", fields(("X-A", "1"))), 200, [("x-a", "1"), ("content-length", "3")], b"abc"),
        (lambda r: r.write(device(b"dev"), b"text/plain"), 200, [TEXT, ("content-length", "3")], b"dev"),
        (
            lambda r: r.write(device(b"dev"), fields(("X-A", "1")), Code.Created),
            201,
            [("x-a", "1"), ("content-length", "3")],
            b"dev",
        ),
        (
            lambda r: r.sendResponse(QHttpServerResponse(b"a/b", b"resp", Code.ImATeapot)),
            418,
            [("content-type", "a/b"), ("content-length", "4")],
            b"resp",
        ),
    ],
)
def test_write_forms(act: Act, status: int, expected: list[Any], body: bytes) -> None:
    reply = answered(act)
    got = [field for field in own(reply) if field != ("content-type", "application/octet-stream") or field in expected]
    assert (reply.status, got, reply.body) == (status, expected, body)


@pytest.mark.parametrize(
    "bad",
    [
        lambda r: r.write(Code.SwitchingProtocols),
        lambda r: r.sendResponse(QHttpServerResponse(Code.SwitchingProtocols)),
        lambda r: r.sendResponse("text"),
        lambda r: r.writeBeginChunked(b"a/b", 100),
        lambda r: r.writeBeginChunked(b"a\r\nb"),
        lambda r: r.write(b"x", b"a\0b"),
    ],
)
@pytest.mark.parametrize("other_thread", [False, True])
def test_what_must_not_be_sent_leaves_the_reply_to_come(bad: Act, other_thread: bool) -> None:
    kinds: list[type] = []

    def act(responder: QHttpServerResponder) -> None:
        try:
            bad(responder)
        except (ValueError, TypeError) as error:
            kinds.append(type(error))
        responder.write(b"after all", b"text/plain")

    def start(responder: QHttpServerResponder) -> None:
        if other_thread:
            threading.Thread(target=act, args=[responder]).start()
        else:
            act(responder)

    reply = answered(start)
    assert (reply.status, reply.body, len(kinds)) == (200, b"after all", 1)


def device(data: bytes) -> QBuffer:
    buffer = QBuffer()
    buffer.setData(data)
    return buffer


def test_positioned_device_announces_what_is_left() -> None:
    def act(responder: QHttpServerResponder) -> None:
        buffer = device(b"buffer")
        buffer.open(QIODevice.OpenModeFlag.ReadOnly)
        buffer.seek(3)
        responder.write(buffer, b"a/b")

    reply = answered(act)
    assert (reply.headers["content-length"], reply.body) == ("3", b"fer")


def test_device_that_cannot_be_read_is_500_and_deleted() -> None:
    buffer = device(b"x")
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    with logged() as lines:
        reply = answered(lambda r: r.write(buffer, fields(("X-A", "1"))))
    assert (reply.status, reply.body) == (500, b"")
    assert "x-a" not in reply.headers
    assert lines
    assert spin(lambda: not shiboken6.isValid(buffer))


@pytest.mark.parametrize(
    "args",
    [
        (object(),),
        (b"x",),
        (b"x", 200, b"y"),
        (b"x", 5.5),
        (fields(), fields()),
        (b"x", b"y", 200, 200),
        (None, b"x"),
    ],
)
def test_write_refuses_what_fits_no_form(args: tuple[Any, ...]) -> None:
    errors: list[BaseException] = []

    def act(responder: QHttpServerResponder) -> None:
        try:
            responder.write(*args)
        except (TypeError, ValueError) as error:
            errors.append(error)
        responder.write(Code.NoContent)

    reply = answered(act)
    assert (reply.status, len(errors)) == (204, 1)


@pytest.mark.parametrize("status", [101, 0, -1, 600, 99])
def test_status_that_cannot_answer_is_refused(status: int) -> None:
    errors: list[str] = []

    def act(responder: QHttpServerResponder) -> None:
        with pytest.raises(ValueError, match="200 to 599") as caught:
            responder.write(status)
        errors.append(str(caught.value))
        responder.write()

    assert answered(act).status == 200
    assert errors


@pytest.mark.parametrize("mime", [b"a/b\r\nx: y", b"a\nb", b"a\0b"])
def test_header_injection_is_refused(mime: bytes) -> None:
    def act(responder: QHttpServerResponder) -> None:
        for call in (lambda: responder.write(b"", mime), lambda: responder.writeBeginChunked(mime)):
            with pytest.raises(ValueError, match="content-type"):
                call()
        responder.write()

    assert "x" not in answered(act).headers


# ---- chunks


def test_chunks_and_trailers() -> None:
    def act(responder: QHttpServerResponder) -> None:
        well_known = QHttpHeaders.WellKnownHeader
        responder.writeBeginChunked(fields(("X-A", "1")), [well_known.Expires, well_known.ETag], Code.Accepted)
        responder.writeChunk(b"one")
        responder.writeChunk(b"two")
        responder.writeEndChunked(b"three", fields(("ETag", "e"), ("Expires", "m")))

    server = QHttpServer()
    server.route("/", lambda _request, responder: act(responder))
    client = RawClient(bound(server))
    client.get("/")
    reply = client.reply()
    assert (reply.status, reply.body) == (202, b"onetwothree")
    assert own(reply) == [("x-a", "1"), ("trailer", "expires, etag"), ("transfer-encoding", "chunked")]
    assert client.trailers == [(b"etag", b"e"), (b"expires", b"m")]


def test_empty_chunks_write_nothing_and_warn() -> None:
    def act(responder: QHttpServerResponder) -> None:
        responder.writeBeginChunked(b"a/b", 200)
        responder.writeChunk(b"")
        responder.writeChunk(b"x")
        responder.writeEndChunked(b"")

    with logged() as lines:
        assert answered(act).body == b"x"
    assert [text for *_, text in lines].count("Chunk must have length > 0") == 2


def test_http_1_0_gets_the_stream_raw_and_no_trailers() -> None:
    def act(responder: QHttpServerResponder) -> None:
        responder.writeBeginChunked(fields(("X-A", "1")), [QHttpHeaders.WellKnownHeader.ETag])
        responder.writeChunk(b"one")
        responder.writeEndChunked(b"two", fields(("ETag", "e")))

    server = QHttpServer()
    server.route("/", lambda _request, responder: act(responder))
    client = RawClient(bound(server))
    with logged() as lines:
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert client.wait_closed()
    head, _, body = client.received.partition(b"\r\n\r\n")
    assert body == b"onetwo"
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert any("Cannot send trailers" in text for *_, text in lines)


@pytest.mark.parametrize(("trailers", "announced"), [(fields(("X-Not", "1")), ["ETag"]), (fields(("ETag", "1")), [])])
def test_trailers_must_be_announced(trailers: QHttpHeaders, announced: list[str]) -> None:
    def act(responder: QHttpServerResponder) -> None:
        responder.writeBeginChunked(fields(), announced)
        with pytest.raises(ValueError, match="not announced"):
            responder.writeEndChunked(b"x", trailers)
        responder.writeEndChunked(b"x")

    assert answered(act).body == b"x"


def test_a_begin_that_fails_announces_no_trailers() -> None:
    def act(responder: QHttpServerResponder) -> None:
        with pytest.raises(ValueError, match="103"):
            responder.writeBeginChunked(fields(), ["X-A"], 103)
        responder.writeBeginChunked(fields(), ["ETag"])
        with pytest.raises(RuntimeError):
            responder.writeBeginChunked(fields(), ["X-A"])
        with pytest.raises(ValueError, match="not announced"):
            responder.writeEndChunked(b"x", fields(("X-A", "1")))
        responder.writeEndChunked(b"x", fields(("ETag", "e")))

    reply = answered(act)
    assert (reply.status, reply.body) == (200, b"x")


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding", "Host"])
def test_framing_fields_cannot_be_trailers(name: str) -> None:
    def act(responder: QHttpServerResponder) -> None:
        with pytest.raises(ValueError, match="trailer"):
            responder.writeBeginChunked(fields(), [name])
        responder.write()

    assert answered(act).status == 200


def test_a_document_has_its_own_type() -> None:
    def act(responder: QHttpServerResponder) -> None:
        with pytest.raises(TypeError):
            responder.write(QJsonDocument(), b"text/plain")
        responder.write()

    assert answered(act).status == 200


@pytest.mark.parametrize("args", [(), (200,), (fields(), ["ETag"], 200, 5), (3.5,)])
def test_begin_refuses_what_fits_no_form(args: tuple[Any, ...]) -> None:
    def act(responder: QHttpServerResponder) -> None:
        with pytest.raises(TypeError):
            responder.writeBeginChunked(*args)
        responder.write()

    assert answered(act).status == 200


# ---- the life of a reply


CALLS: dict[str, Act] = {
    "write": lambda r: r.write(b"w", b"a/b"),
    "sendResponse": lambda r: r.sendResponse(QHttpServerResponse("s")),
    "writeDevice": lambda r: r.write(device(b"d"), b"a/b"),
    "begin": lambda r: r.writeBeginChunked(b"a/b"),
    "chunk": lambda r: r.writeChunk(b"c"),
    "end": lambda r: r.writeEndChunked(b"e"),
}
LEADING_TO: dict[str, list[str]] = {"waiting": [], "streaming": ["begin"], "done": ["write"], "ended": ["begin", "end"]}
ALLOWED = {
    ("waiting", "write"),
    ("waiting", "sendResponse"),
    ("waiting", "writeDevice"),
    ("waiting", "begin"),
    ("streaming", "chunk"),
    ("streaming", "end"),
}


@pytest.mark.parametrize(("state", "call"), list(itertools.product(LEADING_TO, CALLS)))
def test_every_state_times_every_call(state: str, call: str) -> None:
    outcome: list[BaseException | None] = []

    def act(responder: QHttpServerResponder) -> None:
        for step in LEADING_TO[state]:
            CALLS[step](responder)
        try:
            CALLS[call](responder)
            outcome.append(None)
        except RuntimeError as error:
            outcome.append(error)
        if responder._exchange.state == 0:
            responder.write()
        elif responder._exchange.state == 1:
            responder.writeEndChunked(b"")

    with logged():
        assert answered(act).status == 200
    assert (outcome[0] is None) is ((state, call) in ALLOWED)


@pytest.mark.parametrize("call", CALLS)
def test_after_the_peer_left_every_call_is_a_no_op(call: str) -> None:
    _server, client, responder = kept_responder()
    assert responder.isResponseCanceled() is False
    client.close()
    assert spin(responder.isResponseCanceled)
    for _ in range(2):
        CALLS[call](responder)
    assert responder.isResponseCanceled()
    assert responder.bytesToWrite() == 0


@pytest.mark.parametrize("call", CALLS)
def test_after_the_server_was_deleted_every_call_does_nothing(call: str) -> None:
    server, _client, responder = kept_responder()
    shiboken6.delete(server)
    assert responder.isResponseCanceled()
    CALLS[call](responder)


def test_dropped_without_reply_is_500_and_names_the_route() -> None:
    server = QHttpServer()
    kept: list[QHttpServerResponder] = []
    server.route("/dropped/<arg>", lambda _n, _request, responder: kept.append(responder))
    client = RawClient(bound(server))
    client.get("/dropped/1")
    assert spin(lambda: kept)
    with logged() as lines:
        kept.clear()
        gc.collect()
        reply = client.reply()
    assert reply.status == 500
    assert any("/dropped/<arg>" in text and "500" in text for *_, text in lines)


def test_dropped_inside_a_stream_is_cut_visibly() -> None:
    server = QHttpServer()

    @server.route("/")
    def half(_request: Any, responder: QHttpServerResponder) -> None:
        responder.writeBeginChunked(b"a/b")
        responder.writeChunk(b"half")

    client = RawClient(bound(server))
    with logged():
        client.get("/")
        assert client.wait_closed()
    assert b"0\r\n\r\n" not in client.received


def test_exception_inside_a_stream_is_cut_visibly() -> None:
    server = QHttpServer()

    @server.route("/")
    def half(_request: Any, responder: QHttpServerResponder) -> None:
        responder.writeBeginChunked(b"a/b")
        responder.writeChunk(b"half")
        raise LookupError

    client = RawClient(bound(server))
    with logged(), reported() as errors:
        client.get("/")
        assert client.wait_closed()
    assert len(errors) == 1
    assert b"0\r\n\r\n" not in client.received


def test_exception_after_the_reply_leaves_it() -> None:
    def act(responder: QHttpServerResponder) -> None:
        responder.write(b"ok", b"a/b")
        raise LookupError

    with logged(), reported() as errors:
        assert answered(act).body == b"ok"
    assert len(errors) == 1


# ---- late, and from elsewhere


def test_kept_and_used_from_a_timer() -> None:
    reply = answered(lambda r: QTimer.singleShot(20, lambda: r.write(b"late", b"a/b")))
    assert reply.body == b"late"


@pytest.mark.parametrize("pieces", [1, 50])
def test_used_from_another_thread(pieces: int) -> None:
    def act(responder: QHttpServerResponder) -> None:
        def work() -> None:
            responder.writeBeginChunked(b"a/b")
            for number in range(pieces):
                responder.writeChunk(b"%d;" % number)
            responder.writeEndChunked(b"end")

        threading.Thread(target=work).start()

    assert answered(act).body == b"".join(b"%d;" % n for n in range(pieces)) + b"end"


def test_dropped_in_another_thread() -> None:
    server = QHttpServer()
    kept: list[QHttpServerResponder] = []
    server.route("/", lambda _request, responder: kept.append(responder))
    client = RawClient(bound(server))
    client.get("/")
    assert spin(lambda: kept)
    thread = threading.Thread(target=kept.clear)
    with logged():
        thread.start()
        assert client.reply().status == 500
    thread.join(10)


def test_misuse_from_another_thread_raises_there() -> None:
    errors: list[BaseException] = []

    def act(responder: QHttpServerResponder) -> None:
        def work() -> None:
            responder.write(b"once", b"a/b")
            try:
                responder.write(b"twice", b"a/b")
            except RuntimeError as error:
                errors.append(error)

        threading.Thread(target=work).start()

    assert answered(act).body == b"once"
    assert spin(lambda: errors)


def test_swap() -> None:
    kept: list[QHttpServerResponder] = []
    server = QHttpServer()
    server.route("/<arg>", lambda _n, _request, responder: kept.append(responder))
    port = bound(server)
    one, two = RawClient(port), RawClient(port)
    one.get("/1")
    assert spin(lambda: len(kept) == 1)
    two.get("/2")
    assert spin(lambda: len(kept) == 2)
    kept[0].swap(kept[1])
    kept[0].write(b"for two", b"a/b")
    kept[1].write(b"for one", b"a/b")
    assert one.reply().body == b"for one"
    assert two.reply().body == b"for two"


def test_cannot_be_made_or_copied() -> None:
    import copy
    import pickle

    with pytest.raises(NotImplementedError, match="cannot be instantiated"):
        QHttpServerResponder()
    caught: list[BaseException] = []

    def act(responder: QHttpServerResponder) -> None:
        for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="copied") as error:
                duplicate(responder)
            caught.append(error.value)
        responder.write()

    answered(act)
    assert len(caught) == 3


def test_a_producer_can_pace_itself() -> None:
    """bytesToWrite() grows while the peer does not read, and the signal tells when it does."""
    kept: list[QHttpServerResponder] = []
    drained: list[int] = []
    server = QHttpServer()

    @server.route("/")
    def begin(_request: Any, responder: QHttpServerResponder) -> None:
        responder.writeBeginChunked(b"a/b")
        responder.bytesWritten.connect(lambda: drained.append(responder.bytesToWrite()))
        kept.append(responder)

    client = RawClient(bound(server))
    client.socket.setReadBufferSize(1)
    client.get("/")
    assert spin(lambda: kept)
    sent = 0
    while kept[0].bytesToWrite() < 1000000:
        kept[0].writeChunk(b"x" * 65536)
        sent += 65536
        assert sent < 64 << 20
    client.socket.setReadBufferSize(0)
    assert spin(lambda: drained and drained[-1] == 0)
    kept.pop().writeEndChunked(b"")
    assert len(client.reply().body) == sent
