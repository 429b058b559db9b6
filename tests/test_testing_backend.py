"""The fake backend, over real sockets, asked by its own client."""

from __future__ import annotations

import re

import pytest

from qhttpserver_py.testing import ClientError


def test_hello(qhttpserver):
    qhttpserver.expect_request("/hello").respond_with_data("hi")
    response = qhttpserver.client.get("/hello")
    assert (response.status, response.text) == (200, "hi")


def test_json(qhttpserver):
    qhttpserver.expect_request("/j", method="POST", json={"a": 1}).respond_with_json({"b": [1, 2]})
    response = qhttpserver.client.post("/j", json={"a": 1})
    assert response.json() == {"b": [1, 2]}


@pytest.mark.qhttpserver(tls=True)
def test_tls(qhttpserver):
    qhttpserver.expect_request("/").respond_with_data("x" * 10)
    assert qhttpserver.client.get("/").text == "x" * 10


@pytest.mark.qhttpserver(h2=True)
def test_h2(qhttpserver):
    qhttpserver.expect_request("/").respond_with_data("x" * 10)
    response = qhttpserver.client.get("/")
    assert response.text == "x" * 10
    assert response.http2


def test_unexpected(make_qhttpserver):
    server = make_qhttpserver(strict=False)
    server.expect_request("/a", "POST", json={"a": 1}).respond_with_data("")
    response = server.client.get("/a")
    print(response.text)
    assert response.status == 500


@pytest.mark.parametrize("fault", ["reset", "hang", "garbage", "malformed_chunk", "truncate"])
@pytest.mark.parametrize("h2", [False, True])
def test_fault(make_qhttpserver, fault, h2):
    server = make_qhttpserver(h2=h2)
    e = server.expect_request("/a").respond_with_data("hello" * 100)
    e.truncate(10) if fault == "truncate" else getattr(e, fault)()
    with pytest.raises((ClientError, TimeoutError)) as info:
        server.client.get("/a", timeout=300)
    print(fault, h2, repr(info.value), getattr(info.value, "response", None))
