"""Cassettes: recorded from a second server of ours, and replayed."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta

import pytest

from qhttpserver_py.testing import Client
from qhttpserver_py.testing.cassette import CassetteWarning, Episode, RecordedRequest, RecordedResponse
from qhttpserver_py.testing.cassette.secrets import SecretFilter
from qhttpserver_py.testing.cassette.store import CassetteError, load, save

VCR = """
interactions:
- request:
    body: null
    headers:
      Accept: ['*/*']
    method: GET
    uri: https://api.example.com/items?b=2&a=1
  response:
    body: {string: !!python/unicode '{"from": "vcr"}'}
    headers:
      Content-Length: ['15']
      Transfer-Encoding: [chunked]
      Content-Type: [application/json]
      X-Two: [a, b]
    status: {code: 200, message: OK}
- request:
    body: !!binary |
      AAE=
    headers: {}
    method: POST
    uri: https://api.example.com/raw
  response:
    body: {base64_string: AAEC}
    headers: {}
    status: {code: 201, message: Created}
- request: {body: a=1, headers: {}, method: PUT, uri: 'https://api.example.com/httpx'}
  response: {content: text, headers: {}, http_version: HTTP/1.1, status_code: 200}
version: 1
"""


@pytest.fixture
def real(make_qhttpserver):
    return make_qhttpserver(strict=False)


@pytest.fixture
def make(make_qhttpserver, real):
    """Make a backend with a cassette of the real server."""

    def make(path, **options):
        server = make_qhttpserver(strict=False)
        return server, server.use_cassette(path, **{"target": real.url, **options})

    return make


@pytest.fixture
def path(tmp_path):
    return tmp_path / "items.yaml"


def recorded(make, real, path, urls=("/items",), **options):
    server, cassette = make(path, **options)
    for url in urls:
        server.client.get(url)
    server.stop()
    return cassette


def test_once_records_and_then_needs_no_server(make, real, path):
    real.expect_request("/items", "POST").respond_with_json({"n": 1}, 201, {"x-a": "b"})
    server, _ = make(path)
    first = server.client.post("/items?page=1", json={"q": "é"})
    server.stop()
    assert len(real.log) == 1
    assert server.log[0].response.data().data() == b'{"n": 1}'
    real.stop()
    server, cassette = make(path)
    second = server.client.post("/items?page=1", json={"q": "é"})
    assert (
        (second.status, second.reason, second.body)
        == (first.status, first.reason, first.body)
        == (201, "Created", b'{"n": 1}')
    )
    assert second.headers["x-a"] == "b"
    assert second.headers["content-length"] == "8"
    assert cassette.unused == []
    server.check()


@pytest.mark.parametrize(
    "mode, there, asks, kept",
    [
        ("none", False, 0, 0),
        ("none", True, 0, 1),
        ("once", False, 2, 2),
        ("once", True, 0, 1),
        ("new_episodes", False, 2, 2),
        ("new_episodes", True, 1, 2),
        ("all", False, 2, 2),
        ("all", True, 2, 2),
    ],
)
def test_modes(make, real, path, mode, there, asks, kept):
    real.expect_request("/items").respond_with_data("i")
    real.expect_request("/other").respond_with_data("o")
    if there:
        recorded(make, real, path)
        real.clear_log()
    server, cassette = make(path, mode=mode)
    statuses = [server.client.get(url).status for url in ("/items", "/other")]
    server.stop()
    assert len(real.log) == asks
    assert len(cassette.episodes) == kept
    assert [status == 200 for status in statuses] == [kept > 0, kept > 1]
    assert (len(load(path)) if path.exists() else 0) == kept


def test_each_episode_answers_once_unless_repeated(make, real, path):
    real.expect_request("/items").respond_with_sequence(["1", "2"])
    recorded(make, real, path, ["/items", "/items"])
    for repeat, last in ((False, 500), (True, 200)):
        server, _ = make(path, repeat=repeat)
        responses = [server.client.get("/items") for _ in range(3)]
        assert [response.text for response in responses[:2]] == ["1", "2"]
        assert responses[2].status == last
        server.stop()


def test_an_expectation_goes_before(make, real, path):
    real.expect_request("/items").respond_with_data("x")
    recorded(make, real, path)
    server, _ = make(path)
    server.expect_oneshot_request("/items").respond_with_data("busy", 503)
    assert [server.client.get("/items").status for _ in range(2)] == [503, 200]


def test_no_episode_fits(make, real, path):
    real.expect_request("/items").respond_with_data("x")
    recorded(make, real, path)
    server, _ = make(path)
    text = server.client.get("/items?page=2").text
    server.client.get("/items")
    assert "expected cassette items.yaml (mode once)" in text
    assert "query: expected []\n" in text
    with pytest.raises(AssertionError, match="unexpected request"):
        server.check()


def test_the_real_server_is_down(make, real, path):
    real.stop()
    server, _ = make(path)
    assert server.client.get("/items").status == 500
    with pytest.raises(Exception, match=r"recording GET .*ConnectionRefused"):
        server.check()
    server.stop()
    assert not path.exists()


# ---- the file


def test_the_file_is_for_reading(make, real, path):
    real.expect_request("/json").respond_with_json({"b": [1, "é"]})
    real.expect_request("/text").respond_with_data("one\ntwo\n", content_type="text/plain")
    real.expect_request("/image").respond_with_data(b"\x89PNG\0", content_type="image/png")
    recorded(make, real, path, ["/json", "/text", "/image"])
    text = path.read_text(encoding="utf-8")
    assert '        {\n          "b": [\n            1,\n            "é"\n' in text
    assert "string: |\n        one\n        two\n" in text
    (image,) = path.with_suffix(".bodies").iterdir()
    assert (image.suffix, image.read_bytes()) == (".png", b"\x89PNG\0")
    bodies = [episode.response.body for episode in load(path)]
    assert bodies == [b'{"b": [1, "\\u00e9"]}', b"one\ntwo\n", b"\x89PNG\0"]


BODIES = [
    *(b"", b"{}", b'{"a":1}', b'{"a": 1}', b'{"a":1.50}', '["é"]'.encode(), b'["\\u00e9"]', b"{", b"null"),
    *(b"a\r\nb\n", b" x \n\ny ", b"\xff", b"\0", b"\tx", b"'", b'"', b"- a: b", "\u2028\ufeff".encode()),
    '{"a":"\u2028"}'.encode(),
]


@pytest.mark.parametrize("body", BODIES)
def test_bodies_come_back_to_the_byte(path, body):
    headers = [("x-a", "1"), ("x-a", "2")]
    episode = Episode(RecordedRequest("PUT", "http://a/b", headers, body), RecordedResponse(200, "OK", headers, body))
    save(path, [episode])
    assert load(path) == [episode]


def test_what_vcr_recorded_is_replayed(make_qhttpserver, path):
    path.write_text(VCR)
    server = make_qhttpserver()
    cassette = server.use_cassette(path, target="https://api.example.com", mode="none", fail_unused=True)
    response = server.client.get("/items?a=1&b=2")
    assert (response.json(), response.headers["x-two"]) == ({"from": "vcr"}, "a, b")
    response = server.client.post("/raw", data=b"\0\1")
    assert (response.status, response.body) == (201, b"\0\1\2")
    assert cassette.episodes[1].request.body == b"\0\1"
    assert server.client.put("/httpx").text == "text"


def test_without_a_target_the_origin_does_not_count(make_qhttpserver, path):
    path.write_text(VCR)
    server = make_qhttpserver(strict=False)
    cassette = server.use_cassette(path)
    assert server.client.get("/items?a=1&b=2").ok
    assert len(cassette.unused) == 2
    with pytest.warns(CassetteWarning, match=r"nobody asked for POST https://api\.example\.com/raw, PUT"):
        server.stop()


@pytest.mark.parametrize(
    "text, wrong",
    [
        ("a: [", "no YAML"),
        ("- a", "no list of interactions"),
        ("interactions: []\nversion: 2", "version 2"),
        ("interactions:\n- request: {}\n", "interaction 1: KeyError"),
        (VCR.replace("code: 200", "code: fine"), "interaction 1: ValueError"),
        ("interactions: !!python/object/apply:os.getcwd []", "no YAML"),
    ],
)
def test_files_that_are_no_cassettes(path, text, wrong):
    path.write_text(text)
    with pytest.raises(CassetteError, match=wrong):
        load(path)


def test_a_body_is_read_from_beside_the_cassette_alone(path, tmp_path):
    (tmp_path.parent / "outside").write_bytes(b"x")
    path.write_text(VCR.replace("{base64_string: AAEC}", "{file: ../outside}"))
    with pytest.raises(CassetteError, match="not beside the cassette"):
        load(path)


# ---- secrets


def test_secrets_are_not_recorded(make, real, path):
    def answer(request):
        assert request.value("Authorization").data() == b"Bearer s3cret"
        return (
            '{"access_token":"s3cret","name":"n"}',
            200,
            {"set-cookie": "sid=s3cret", "content-type": "application/json"},
        )

    real.expect_request("/login").respond_with_handler(answer)
    headers = {"Authorization": "Bearer s3cret", "Cookie": "a=s3cret", "x-api-key": "s3cret", "X-Mine": "s3cret"}

    def ask(server):
        return server.client.post(
            "/login?api_key=s3cret&mine=s3cret&page=1", headers=headers, json={"password": "s3cret", "user": "u"}
        )

    options = {"filter_headers": ["x-mine"], "filter_keys": ["Mine"], "match_on": ["method", "uri", "body"]}
    server, _ = make(path, **options)
    assert ask(server).json()["access_token"] == "s3cret"
    server.stop()
    text = path.read_text()
    assert "s3cret" not in text
    assert "page=1" in text
    real.stop()
    server, _ = make(path, **options)
    assert ask(server).json() == {"access_token": "REDACTED", "name": "n"}
    server.check()


def test_secrets_of_urls_and_forms():
    form = [("content-type", "application/x-www-form-urlencoded")]
    request = SecretFilter().request(RecordedRequest("POST", "http://u:p@a:1/?x=1&TOKEN=t", form, b"password=p&a=b"))
    assert (request.uri, request.body) == ("http://a:1/?x=1&TOKEN=REDACTED", b"password=REDACTED&a=b")


def test_the_hook_changes_or_drops_episodes(make, real, path):
    real.expect_request("/").respond_with_data("x")
    real.expect_request("/secret").respond_with_data("x")

    def before_record(episode):
        episode.response.body = b"changed"
        return None if "secret" in episode.request.uri else episode

    recorded(make, real, path, ["/", "/secret"], before_record=before_record)
    (episode,) = load(path)
    assert episode.response.body == b"changed"


# ---- matching, unused, stale


@pytest.mark.parametrize(
    "match_on, sent, fits",
    [
        (["method", "path"], {"params": {"x": 1}}, True),
        (["body"], {"data": '{ "a" : 1 }'}, True),
        (["raw_body"], {"data": '{ "a" : 1 }'}, False),
        (["method"], {"method": "PUT"}, False),
        (["headers"], {"headers": {"x-new": "1"}}, False),
        ([lambda came, recorded: came.method == recorded.method], {}, True),
        ([lambda came, recorded: False], {}, False),
    ],
)
def test_match_on(make, real, path, match_on, sent, fits):
    real.expect_request("/").respond_with_data("x")
    server, _ = make(path)
    server.client.post("/", data='{"a":1}')
    server.stop()
    server, _ = make(path, match_on=match_on, repeat=True)
    options = {"method": "POST", "data": '{"a":1}', **sent}
    assert server.client.request(options.pop("method"), "/", **options).ok == fits
    server._cassettes.clear()


def test_options_that_make_no_sense(make, path):
    table = {"match_on": ["bdy"], "mode": "some", "target": "api.example.com"}
    for wrong, value in table.items():
        options = {wrong: value}
        with pytest.raises(ValueError, match=wrong):
            make(path, **options)


def test_unused_episodes_fail(make, real, path):
    real.expect_request("/items").respond_with_data("x")
    recorded(make, real, path)
    server, _ = make(path, fail_unused=True)
    with pytest.raises(AssertionError, match=r"nobody asked for\n  GET http://127.*/items"):
        server.check_expectations()
    assert server.problems() == []
    server, _ = make(path, fail_unused=True)
    (problem,) = server.problems()
    assert "nobody asked for" in str(problem)
    server.forget_problems()
    assert server.problems() == []


def test_stale_episodes_are_named(make, real, path):
    response = RecordedResponse(200, "OK")
    times = [datetime.now(UTC) - timedelta(days=days) for days in (1, 40)]
    save(path, [Episode(RecordedRequest("GET", f"{real.url}/{n}"), response, when) for n, when in enumerate(times)])
    server, _ = make(path, max_age=timedelta(days=30))
    assert [server.client.get(f"/{n}").status for n in range(2)] == [200, 200]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        server.stop()
    (warning,) = caught
    assert str(warning.message).endswith(f"GET {real.url}/1")


# ---- joined with intercept()


def test_intercepted_requests_are_replayed_by_their_origin(make_qhttpserver, path):
    path.write_text(VCR)
    server = make_qhttpserver(strict=False)
    cassette = server.use_cassette(path, mode="none")
    server.intercept("https://api.example.com")
    server.intercept("http://other.example.com")
    client = Client()
    assert client.get("https://api.example.com/items?a=1&b=2").json() == {"from": "vcr"}
    refused = client.put("http://other.example.com/httpx")
    assert (refused.status, "host: expected 'api.example.com'" in refused.text) == (500, True)
    assert len(cassette.unused) == 2
    server._cassettes.clear()


def test_an_intercepted_request_is_recorded_from_a_target(make, real, path):
    real.expect_request("/items").respond_with_data("real")
    server, _ = make(path)
    server.intercept("http://api.example.com")
    assert Client().get("http://api.example.com/items").text == "real"
    server.stop()
    assert [episode.request.uri for episode in load(path)] == [f"{real.url}/items"]


def test_recording_without_a_known_server_says_so(make, path):
    server, _ = make(path, target=None)
    assert "give target=, or intercept it" in server.client.get("/").text
