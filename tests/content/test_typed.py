"""Queries and JSON bodies as dataclasses, or the reason why not."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from qhttpserver_py import QHttpServer, QHttpServerRequest
from qhttpserver_py._content.typed import MisfitError, fields_of, from_json, from_query

from ..support.rawclient import ask, bound


@dataclass
class Page:
    number: int
    size: int = 10
    tags: list[str] = field(default_factory=list)
    exact: bool = False
    price: Decimal | None = None


@dataclass
class Item:
    name: str
    price: float
    page: Page | None = None
    parts: list[int] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("values", "made"),
    [
        ({"number": ["3"]}, Page(3)),
        ({"number": ["3"], "size": ["5"], "tags": ["a", "b"], "exact": ["yes"]}, Page(3, 5, ["a", "b"], True)),
        ({"number": ["3"], "price": ["1.5"], "other": ["x"]}, Page(3, price=Decimal("1.5"))),
    ],
)
def test_queries(values, made) -> None:
    assert from_query(Page, values) == made


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "'number' is missing"),
        ({"number": ["x"]}, "'number' is no int: 'x'"),
        ({"number": ["1", "2"]}, "given 2 times"),
        ({"number": ["1"], "exact": ["maybe"]}, "'exact' is no bool"),
        ({"number": ["1"], "price": ["x"]}, "'price' is no Decimal"),
    ],
)
def test_queries_that_do_not_fit(values, reason) -> None:
    with pytest.raises(MisfitError) as raised:
        from_query(Page, values)
    assert reason in str(raised.value)


def test_json() -> None:
    value = {"name": "n", "price": 2, "page": {"number": 1}, "parts": [1, 2], "more": {"a": 1}, "unknown": 0}
    assert from_json(Item, value) == Item("n", 2.0, Page(1), [1, 2], {"a": 1})
    assert from_json(Item, {"name": "n", "price": 2.5, "page": None}) == Item("n", 2.5)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "the JSON body is no object"),
        ({"price": 1}, "'name' of the JSON body is missing"),
        ({"name": 5, "price": 1}, "'name' of the JSON body is no str"),
        ({"name": "n", "price": True}, "'price' of the JSON body is no float"),
        ({"name": "n", "price": 1, "page": {"number": "1"}}, "'number' of 'page' of the JSON body is no int"),
        ({"name": "n", "price": 1, "parts": [1, "2"]}, "item 1 of 'parts' of the JSON body is no int"),
        ({"name": None, "price": 1}, "'name' of the JSON body is no str"),
    ],
)
def test_json_that_does_not_fit(value, reason) -> None:
    with pytest.raises(MisfitError) as raised:
        from_json(Item, value)
    assert str(raised.value) == reason


def test_what_is_no_dataclass() -> None:
    with pytest.raises(TypeError, match="dataclass"):
        fields_of(int)


def test_the_reply_says_why(qapp) -> None:
    server = QHttpServer()
    server.route("/page", lambda request: str(request.queryAs(Page).number))
    server.route("/item", QHttpServerRequest.Method.Post, lambda request: request.jsonAs(Item).name)
    port = bound(server)
    assert ask(port, "/page?number=7").body == b"7"
    reply = ask(port, "/page?number=x")
    assert (reply.status, reply.body) == (400, b"the query argument 'number' is no int: 'x'\n")
    assert ask(port, "/item", method="POST", body=b'{"name":"n","price":1}').body == b"n"
    assert ask(port, "/item", method="POST", body=b'{"name":"n"}').status == 400
    server.close()
