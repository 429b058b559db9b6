"""Protections against web pages of others: each attack is refused, and no legitimate request is."""

from __future__ import annotations

import hmac
import re
from typing import Any

import pytest
from hpack import Decoder

from qhttpserver_py import QHttpServer, QHttpServerRequest, security
from qhttpserver_py.security.hosts import AllowedHosts
from qhttpserver_py.security.origins import AllowedOrigins
from qhttpserver_py.testing import InMemoryClient

from ..support.h2frames import GET, HEADERS, PREFACE, RST_STREAM, headers, parse, settings
from ..support.protected import served
from ..support.rawclient import RawClient, ask, bound, logged, reported, spin

pytestmark = pytest.mark.usefixtures("qapp")

Method = QHttpServerRequest.Method
APP = "https://app.example"
TOKEN = "correct horse battery"


@pytest.fixture
def server() -> QHttpServer:
    made = served()
    made.route("/change", Method.Post | Method.Put, lambda: "changed")
    made.route("/stream", lambda: iter([b"a", b"b"]))
    made.route("/fails", lambda: 1 / 0)
    return made


def status(server: QHttpServer, method: str, path: str, **headers: str) -> int:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return InMemoryClient(server, raise_errors=False).request(method, path, headers=fields).status


# ---- Host: DNS rebinding


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("localhost.", True),
        ("app.localhost", True),
        ("127.0.0.1", True),
        ("127.0.0.1:8080", True),
        ("127.1.2.3", True),
        ("[::1]", True),
        ("[::1]:8080", True),
        ("[::ffff:127.0.0.1]", True),
        ("192.0.2.7:80", True),  # where the connection came in
        ("box.lan", True),
        ("box.lan:80", True),
        ("port.lan:8080", True),
        ("port.lan:8081", False),
        ("port.lan", False),
        ("a.wild.lan", True),
        ("a.b.wild.lan:1", True),
        ("wild.lan", False),
        ("notwild.lan", False),
        ("evil.example", False),
        ("evil.example:8080", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("evillocalhost", False),
        ("0.0.0.0", False),
        ("[::]", False),
        ("192.0.2.8", False),
        ("127.1", False),
        ("0177.0.0.1", False),
        ("2130706433", False),
        ("", False),
        ("localhost@evil.example", False),
        ("localhost evil.example", False),
        ("box.lan:80:80", False),
        ("LOCALHOST.:8080", True),
        ("localhost..", False),
        ("localhost:", False),
        ("localhost:0x50", False),
        ("[0:0:0:0:0:0:0:1]", True),
        ("[::FFFF:7F00:1]", True),
        ("[::1%25lo]", False),
        ("[::1", False),
        ("::1", False),
        ("BOX.LAN.", True),
        ("a.WILD.lan.:8080", True),
        (".wild.lan", False),
        ("web.lan", True),  # browsers leave the scheme's own port out
        ("web.lan:80", True),
        ("web.lan:443", False),
        ("[2001:DB8::1]:8080", True),
        ("[2001:db8:0:0::1]:8080", True),
        ("[2001:db8::1]", False),
        ("[2001:db8::2]:8080", False),
    ],
)
def test_hosts(host: str, allowed: bool) -> None:
    hosts = AllowedHosts(["box.lan", "port.lan:8080", "*.wild.lan", "Web.lan:80", "[2001:db8::1]:8080"], local=True)
    for _ in range(2):  # the second time from memory
        assert hosts.allows(host.encode(), lambda: "192.0.2.7") is allowed


@pytest.mark.parametrize("entry", ["", "a/b", "http://a", "a b", "*a", "a.*", "*.", "[::1"])
def test_entries_that_are_no_hosts(server: QHttpServer, entry: str) -> None:
    with pytest.raises(ValueError, match="is no host"):
        security.allow_hosts(server, [entry])


@pytest.mark.parametrize("path", ["/", "/kept", "/none", "/stream", "/up"])
def test_rebinding_reaches_nothing(server: QHttpServer, path: str) -> None:
    security.allow_hosts(server)
    with logged() as lines:
        assert status(server, "GET", path, host="evil.example:8080") == 421
    assert len(lines) == 1
    level, category, text = lines[0]
    assert (level, category) == ("warning", "qt.httpserver.security")
    assert "421" in text
    assert "evil.example:8080" in text


def test_rebinding_on_a_real_connection_leaves_it_usable(server: QHttpServer) -> None:
    security.allow_hosts(server)
    client = RawClient(bound(server))
    client.get("/")  # Host: x
    assert client.reply().status == 421
    client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert client.reply().body == b"home"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GET http://localhost/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200),  # RFC 9112 3.2.2: Host is ignored
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 421),
        (b"GET http://EVIL.example./ HTTP/1.0\r\n\r\n", 421),
        (b"GET HTTP://LOCALHOST.:80/ HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET http://[::1]:80/ HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"CONNECT evil.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 421),
        (b"GET / HTTP/1.0\r\n\r\n", 421),
        (b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", 200),
    ],
)
def test_the_authority_that_counts_is_checked(server: QHttpServer, request_: bytes, expected: int) -> None:
    security.allow_hosts(server)
    client = RawClient(bound(server))
    client.send(request_)
    assert client.reply().status == expected


def test_a_log_line_cannot_be_forged(server: QHttpServer) -> None:
    security.allow_hosts(server)
    with logged() as lines:
        status(server, "GET", "/%0Aqt.httpserver:%20all%20is%20well%1b[2J", host="evil.example")
    assert lines[0][2].isprintable()


def test_loopback_alone_may_be_left_out(server: QHttpServer) -> None:
    security.allow_hosts(server, ["box.lan"], local=False)
    assert status(server, "GET", "/", host="localhost") == 421
    assert status(server, "GET", "/", host="box.lan") == 200


# ---- Origin: cross-site requests


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),
        ({"origin": "http://localhost"}, 200),
        ({"origin": "HTTP://LOCALHOST:80"}, 200),
        ({"origin": "https://friend.example"}, 200),
        ({"origin": "https://friend.example:443"}, 200),
        ({"origin": "null", "sec_fetch_site": "same-origin"}, 200),
        ({"sec_fetch_site": "same-origin"}, 200),
        ({"sec_fetch_site": "none"}, 200),
        ({"origin": "http://localhost."}, 200),
        ({"origin": "http://localhost:080"}, 403),
        ({"origin": "http://localhost:"}, 403),
        ({"origin": "http://localhost/"}, 403),
        ({"origin": "file://"}, 403),
        ({"origin": "null", "sec_fetch_site": "same-origin, same-origin"}, 403),
        ({"sec_fetch_site": ""}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "null", "sec_fetch_site": "cross-site"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "http://localhost:81"}, 403),
        ({"origin": "https://localhost"}, 403),
        ({"origin": "http://localhost.evil.example"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://friend.example"}, 403),
        ({"origin": "https://friend.example.evil.example"}, 403),
        ({"origin": "https://sub.friend.example"}, 403),
        ({"origin": "http://localhost, http://evil.example"}, 403),
        ({"origin": "chrome-extension://abcdef"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_changes_from_pages_elsewhere(server: QHttpServer, method: str, headers: dict[str, str], expected: int) -> None:
    security.check_origin(server, ["https://friend.example"])
    assert status(server, method, "/change", host="localhost", **headers) == expected


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading_is_the_browsers_business(server: QHttpServer, method: str) -> None:
    security.check_origin(server)
    assert status(server, method, "/", origin="http://evil.example") == 200


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "PURGE", "CONNECT"])
def test_every_other_method_changes_something(server: QHttpServer, method: str) -> None:
    security.check_origin(server)
    client = RawClient(bound(server))
    target = "x:80" if method == "CONNECT" else "/none"
    client.get(target, "Origin: http://evil.example", method=method)
    assert client.reply().status == 403


def test_two_origins_are_none(server: QHttpServer) -> None:
    security.check_origin(server)
    client = RawClient(bound(server))
    client.get("/change", "Origin: http://x", "Origin: http://x", "Content-Length: 0", method="POST")
    assert client.reply().status == 403


def test_streamed_uploads_are_refused_at_the_head(server: QHttpServer) -> None:
    security.check_origin(server)
    client = RawClient(bound(server))
    client.get("/up", "Origin: http://evil.example", "Content-Length: 1000000", method="POST")
    assert client.reply().status == 403


# ---- WebSocket

HANDSHAKE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
KEY = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="


def upgrade(port: int, *fields: str) -> int:
    client = RawClient(port)
    client.get("/", *HANDSHAKE, KEY, *fields)
    return client.reply(head_only=True).status


@pytest.mark.parametrize(("origin", "expected"), [("Origin: http://evil.example", 403), ("Origin: http://x", 101)])
@pytest.mark.parametrize("guard", ["check_origin", "same_origin_verifier", "allow_origins_verifier"])
def test_cross_site_websockets(server: QHttpServer, guard: str, origin: str, expected: int) -> None:
    pytest.importorskip("PySide6.QtWebSockets")
    server.newWebSocketConnection.connect(lambda: None)
    if guard == "check_origin":
        security.check_origin(server)
        server.addWebSocketUpgradeVerifier(server, lambda request: security.Verdict.accept())
    elif guard == "same_origin_verifier":
        server.addWebSocketUpgradeVerifier(server, security.same_origin_verifier)
    else:
        server.addWebSocketUpgradeVerifier(server, security.allow_origins_verifier("https://app.example"))
    assert upgrade(bound(server), origin) == expected


def test_a_verifier_may_leave_the_rest_to_others(server: QHttpServer) -> None:
    verify = security.allow_origins_verifier(accept=False)
    assert verify(QHttpServerRequest()).type() is security.Verdict.ResponseType.PassToNext


# ---- CORS


@pytest.mark.parametrize(
    ("rule", "origin", "allowed"),
    [
        ("*", "https://any.example", True),
        ("*", "null", False),
        ("null", "null", True),
        (APP, APP, True),
        (APP, "https://app.example:443", True),
        (APP, "http://app.example", False),
        (APP, "https://app.example.evil.example", False),
        ("https://*.example.com", "https://a.example.com", True),
        ("https://*.example.com", "https://a.b.example.com", True),
        ("https://*.example.com", "https://example.com", False),
        ("https://*.example.com:443", "https://a.example.com", True),
        ("https://*.example.com:443", "https://a.example.com:444", False),
        ("HTTP://*.Example.com:80", "http://a.example.com", True),
        ("http://*.example.com:443", "http://a.example.com:443", True),
        ("http://[::1]:*", "http://[::1]:3000", True),
        ("https://*.example.com", "https://a.example.com\n", False),
        ("https://*.example.com", "https://evilexample.com", False),
        ("https://*.example.com", "https://evil.example/.example.com", False),
        ("http://localhost:*", "http://localhost:3000", True),
        ("http://localhost:*", "http://localhost", True),
        ("http://localhost:*", "http://localhost.evil.example:3000", False),
        (re.compile(r"https://[ab]\.example"), "https://a.example", True),
        (re.compile(r"https://[ab]\.example"), "https://a.example.evil", False),
        (lambda origin: origin.endswith(".lan"), "http://box.lan", True),
        (lambda origin: origin.endswith(".lan"), "http://box.wan", False),
        ([APP, "http://localhost:*"], "http://localhost:1", True),
        ((), APP, False),
    ],
)
def test_origin_rules(rule: Any, origin: str, allowed: bool) -> None:
    assert AllowedOrigins(rule).allows(origin) is allowed


@pytest.mark.parametrize(
    "rule", ["app.example", "https://app.example/", "https://", "https://*", "https://a*.b", "", 3]
)
def test_what_is_no_origin(rule: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        AllowedOrigins([rule])


def preflight(server: QHttpServer, path: str = "/change", origin: str = APP, **more: str) -> Any:
    headers = {"origin": origin, "access-control-request-method": "POST"}
    headers.update({name.replace("_", "-"): value for name, value in more.items()})
    return InMemoryClient(server).request("OPTIONS", path, headers=headers)


def test_a_preflight_is_answered(server: QHttpServer) -> None:
    security.cors(
        server, APP, headers=["X-A", "x-b"], expose=["x-seen"], credentials=True, max_age=60, private_network=True
    )
    reply = preflight(server, access_control_request_private_network="true")
    assert reply.status == 204
    assert {name: value for name, value in reply.headers.items() if name.startswith("access")} == {
        "access-control-allow-origin": APP,
        "access-control-allow-methods": "POST, PUT",
        "access-control-allow-headers": "x-a, x-b",
        "access-control-allow-credentials": "true",
        "access-control-allow-private-network": "true",
        "access-control-max-age": "60",
    }
    assert "origin" in reply.headers["vary"]


@pytest.mark.parametrize(
    ("options", "asked", "name", "expected"),
    [
        ({}, {}, "access-control-allow-private-network", None),
        ({}, {"access_control_request_private_network": "true"}, "access-control-allow-private-network", None),
        ({"private_network": True}, {}, "access-control-allow-private-network", None),
        ({}, {"access_control_request_headers": "x-a,x-b"}, "access-control-allow-headers", "x-a,x-b"),
        ({"headers": []}, {"access_control_request_headers": "x-a"}, "access-control-allow-headers", None),
        ({"methods": ["get", "delete"]}, {}, "access-control-allow-methods", "GET, DELETE"),
        ({}, {}, "access-control-allow-credentials", None),
    ],
)
def test_preflight_options(
    server: QHttpServer, options: dict[str, Any], asked: dict[str, str], name: str, expected: str | None
) -> None:
    security.cors(server, APP, **options)
    assert preflight(server, **asked).headers.get(name) == expected


def test_other_sites_get_no_leave(server: QHttpServer) -> None:
    security.cors(server, APP)
    with logged() as lines:
        reply = preflight(server, origin="https://evil.example")
    assert reply.status == 403
    assert not [name for name in reply.headers if name.startswith("access")]
    assert "CORS" in lines[0][2]
    assert (
        "access-control-allow-origin"
        not in InMemoryClient(server).get("/", headers={"origin": "https://e.vil"}).headers
    )


def test_a_preflight_for_no_path_is_404(server: QHttpServer) -> None:
    security.cors(server, "*")
    assert preflight(server, "/none").status == 404


def test_options_that_is_no_preflight_goes_on(server: QHttpServer) -> None:
    security.cors(server, "*")
    server.route("/own", Method.Options, lambda: "mine")
    assert InMemoryClient(server).options("/own", headers={"origin": APP}).body == b"mine"


@pytest.mark.parametrize(
    ("path", "code"), [("/", 200), ("/stream", 200), ("/fails", 500), ("/kept", 200), ("/none", 404), ("/missing", 404)]
)
def test_every_reply_has_the_fields(server: QHttpServer, path: str, code: int) -> None:
    security.cors(server, APP, expose="x-seen")
    client = InMemoryClient(server, raise_errors=False)
    with reported():
        reply = client.get(path, headers={"origin": APP})
    assert reply.status == code
    assert reply.headers["access-control-allow-origin"] == APP
    assert reply.headers["access-control-expose-headers"] == "x-seen"
    assert reply.headers["vary"] == "origin"


def test_a_handlers_own_field_is_kept(server: QHttpServer) -> None:
    server.route("/own", lambda: ("x", 200, {"access-control-allow-origin": "https://own", "vary": "accept"}))
    security.cors(server, "*")
    reply = ask(bound(server), "/own", "Origin: https://app.example")
    assert [value for name, value in reply.fields if name == "access-control-allow-origin"] == ["https://own"]


def test_the_whole_web_with_credentials_is_refused(server: QHttpServer) -> None:
    with pytest.raises(ValueError, match="every site"):
        security.cors(server, "*", credentials=True)


def test_cors_origins_may_change_things(server: QHttpServer) -> None:
    security.protect_localhost(server)
    security.cors(server, APP)
    assert status(server, "POST", "/change", host="localhost", origin=APP) == 200
    assert status(server, "POST", "/change", host="localhost", origin="https://evil.example") == 403


# ---- bearer tokens


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"BEARER   {TOKEN}", 200),
        (None, 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Basic {TOKEN}", 401),
        (TOKEN, 401),
        ("Bearer tök", 401),
    ],
)
@pytest.mark.parametrize("path", ["/", "/none", "/up", "/kept"])
def test_tokens(server: QHttpServer, path: str, authorization: str | None, expected: int) -> None:
    security.require_bearer(server, ["other", TOKEN])
    headers = {} if authorization is None else {"authorization": authorization}
    found = status(server, "POST" if path == "/up" else "GET", path, **headers)
    assert found == (404 if path == "/none" and expected == 200 else expected)


def test_the_challenge(server: QHttpServer) -> None:
    security.require_bearer(server, TOKEN, realm='my "app"')
    client = InMemoryClient(server)
    assert client.get("/").headers["www-authenticate"] == r'Bearer realm="my \"app\""'
    wrong = client.get("/", headers={"authorization": "Bearer x"})
    assert wrong.headers["www-authenticate"] == r'Bearer realm="my \"app\"", error="invalid_token"'


def test_comparison_takes_constant_time(server: QHttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[tuple[int, int]] = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: lengths.append((len(a), len(b))) or real(a, b))
    security.require_bearer(server, [TOKEN, "second token"])
    for given in ("", "x", TOKEN, "x" * 500):
        status(server, "GET", "/", authorization=f"Bearer {given}")
    assert lengths == [(32, 32)] * 8  # all tokens each time, whatever was given


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/api", True),
        ("/api/x", True),
        ("/%61pi/x", True),
        ("/api%2Fx", True),
        ("/apix", False),
        ("/", False),
        ("/api/open/a", False),
        ("/v1", True),
        ("/v1/x", False),
    ],
)
def test_paths_are_those_that_routes_see(server: QHttpServer, path: str, wanted: bool) -> None:
    security.require_bearer(server, TOKEN, ["/api", re.compile("/v[0-9]")], except_paths="/api/open")
    assert (status(server, "GET", path) == 401) is wanted


def test_a_token_in_the_query_only_where_asked_for(server: QHttpServer) -> None:
    security.require_bearer(server, "se cret")
    assert status(server, "GET", "/?token=se%20cret") == 401
    security.require_bearer(server, "se cret", query="token")
    assert status(server, "GET", "/?token=se%20cret") == 200
    assert status(server, "GET", "/?token=x&token=se%20cret") == 401


@pytest.mark.parametrize("more", [b"a=b&" * 1000, b"access=x&", b"%61ccess=x&", b"&" * 60_000 + b"a=b&"])
def test_a_query_with_too_many_parameters_is_not_searched_for_a_token(server: QHttpServer, more: bytes) -> None:
    """A request without a token must not be more expensive than others."""
    security.require_bearer(server, "secret", query="access")
    client = RawClient(bound(server))
    client.send(b"GET /?%baccess=secret HTTP/1.1\r\nHost: x\r\n\r\n" % more)
    assert client.reply().status == 401


def test_a_callable_knows_the_tokens(server: QHttpServer) -> None:
    security.require_bearer(server, lambda given: given == "yes")
    assert status(server, "GET", "/", authorization="Bearer yes") == 200
    assert status(server, "GET", "/", authorization="Bearer no") == 401


def test_preflights_need_no_token(server: QHttpServer) -> None:
    security.require_bearer(server, TOKEN)
    security.cors(server, APP)
    assert preflight(server).status == 204
    denied = InMemoryClient(server).get("/", headers={"origin": APP})
    assert (denied.status, denied.headers["access-control-allow-origin"]) == (401, APP)


@pytest.mark.parametrize("token", ["", [], [b""]])
def test_no_token_is_no_protection(server: QHttpServer, token: Any) -> None:
    with pytest.raises(ValueError, match="token"):
        security.require_bearer(server, token)


# ---- all together


def test_headers_on_every_reply(server: QHttpServer) -> None:
    security.add_headers(server, {"X-Content-Type-Options": "nosniff"})
    security.allow_hosts(server)
    client = InMemoryClient(server, raise_errors=False)
    for path, host in (("/", "localhost"), ("/stream", "localhost"), ("/fails", "localhost"), ("/", "evil")):
        with reported():
            reply = client.get(path, headers={"host": host})
        assert reply.headers["x-content-type-options"] == "nosniff"
    with pytest.raises(ValueError, match="control"):
        security.add_headers(server, {"a": "b\r\nc: d"})


def test_protections_act_in_one_order_before_the_applications(server: QHttpServer) -> None:
    seen: list[str] = []
    server.addBeforeRequestHandler(server, lambda request: seen.append("own"))
    security.require_bearer(server, TOKEN)
    security.allow_hosts(server)
    assert status(server, "GET", "/", host="evil.example") == 421
    assert status(server, "GET", "/", host="localhost") == 401
    assert not seen


IN_THE_CLEAR = [GET[0], (b":scheme", b"http"), GET[2]]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([(b":authority", b"LOCALHOST.:8080")], "200"),
        ([(b":authority", b"[::1]:8080")], "200"),
        ([(b":authority", b"evil.example")], "421"),
        ([(b"host", b"localhost")], "200"),
        ([(b"host", b"evil.example")], "421"),
        ([(b":authority", b"localhost"), (b"host", b"localhost")], "200"),
        ([(b":authority", b"localhost"), (b"host", b"evil.example")], None),
        ([(b":authority", b"evil.example"), (b"host", b"localhost")], None),
    ],
)
def test_authority_and_host_over_http2(
    server: QHttpServer, fields: list[tuple[bytes, bytes]], expected: str | None
) -> None:
    security.allow_hosts(server)
    client = RawClient(bound(server))
    client.send(PREFACE + settings() + headers(1, [*IN_THE_CLEAR, *fields]))
    kinds = (HEADERS, RST_STREAM)
    assert spin(lambda: any(one.kind in kinds for one in parse(client.received)))
    reply = next(one for one in parse(client.received) if one.kind in kinds)
    assert (dict(Decoder().decode(reply.payload))[":status"] if reply.kind == HEADERS else None) == expected


def test_over_http2(server: QHttpServer) -> None:
    """:authority is the Host of HTTP/2."""
    security.allow_hosts(server)
    security.add_headers(server, {"x-added": "1"})
    client = RawClient(bound(server))
    client.send(
        PREFACE
        + settings()
        + headers(1, [*IN_THE_CLEAR, GET[3]])
        + headers(3, [*IN_THE_CLEAR, (b":authority", b"localhost")])
    )
    assert spin(lambda: len([one for one in parse(client.received) if one.kind == HEADERS]) == 2)
    decoder = Decoder()
    heads = [dict(decoder.decode(one.payload)) for one in parse(client.received) if one.kind == HEADERS]
    assert [(head[":status"], head["x-added"]) for head in heads] == [("421", "1"), ("200", "1")]
