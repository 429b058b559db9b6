from __future__ import annotations

import asyncio
import functools
import typing
from typing import TYPE_CHECKING

import pytest

from qhttpserver_py._routing.binding import Binding, UnbindableError, callable_name, inspect_handler, plan
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponder import QHttpServerResponder

if TYPE_CHECKING:
    from elsewhere import Order  # not importable: known by name alone

Q, R = "<request>", "<responder>"


def bind(callback, placeholders=0):
    return Binding(callback, plan(inspect_handler(callback), placeholders))


def given(callback, captures=()):
    """What *callback*, which returns its arguments, is given."""
    return bind(callback, len(captures)).call(captures, Q, R)


class Request(QHttpServerRequest):
    pass


def swapped(responder: QHttpServerResponder, request: QHttpServerRequest):
    return responder, request


def swapped_after_one(a: str, responder: QHttpServerResponder, request: QHttpServerRequest):
    return a, responder, request


def swapped_after_two(a, b, responder: QHttpServerResponder, request: QHttpServerRequest):
    return a, b, responder, request


def responder_alone(responder: QHttpServerResponder):
    return (responder,)


def responder_after_one(a, responder: QHttpServerResponder):
    return a, responder


def responder_after_two(a, b, responder: QHttpServerResponder):
    return a, b, responder


def request_first(request: QHttpServerRequest, a):
    return request, a


def responder_known(responder: QHttpServerResponder, other):
    return responder, other


def subclassed(request: Request):
    return (request,)


def optional(request: QHttpServerRequest | None = None):
    return (request,)


def old_optional(request: typing.Optional[QHttpServerRequest], responder: typing.Optional[QHttpServerResponder] = None):  # noqa: UP045
    return request, responder


def annotated(request: typing.Annotated[QHttpServerRequest, "doc"]):
    return (request,)


def quoted(r: QHttpServerResponder, q: QHttpServerRequest):
    return r, q


def unimported(r: QtHttpServer.QHttpServerResponder, q: QHttpServerRequest | None):  # noqa: F821
    return r, q


def anything(x: typing.Any):
    return (x,)


def keyword_only(*, responder: QHttpServerResponder, request: QHttpServerRequest):
    return responder, request


def left_alone(a, flag: bool = False, request: QHttpServerRequest | None = None):
    return a, flag, request


SHAPES = [
    (lambda: (), (), ()),
    (lambda q: (q,), (), (Q,)),
    (lambda q, r: (q, r), (), (Q, R)),
    (lambda a: (a,), ("1",), ("1",)),
    (lambda a, q: (a, q), ("1",), ("1", Q)),
    (lambda a, q, r: (a, q, r), ("1",), ("1", Q, R)),
    (lambda a, b: (a, b), ("1", "2"), ("1", "2")),
    (lambda a, b, q: (a, b, q), ("1", "2"), ("1", "2", Q)),
    (lambda a, b, c, q, r: (a, b, c, q, r), ("1", "2", "3"), ("1", "2", "3", Q, R)),
    (responder_alone, (), (R,)),
    (responder_after_one, ("1",), ("1", R)),
    (responder_after_two, ("1", "2"), ("1", "2", R)),
    (swapped, (), (R, Q)),
    (swapped_after_one, ("1",), ("1", R, Q)),
    (swapped_after_two, ("1", "2"), ("1", "2", R, Q)),
    (request_first, ("1",), (Q, "1")),
    (responder_known, (), (R, Q)),
    (subclassed, (), (Q,)),
    (optional, (), (Q,)),
    (old_optional, (), (Q, R)),
    (annotated, (), (Q,)),
    (quoted, (), (R, Q)),
    (unimported, (), (R, Q)),
    (anything, (), (Q,)),
    (keyword_only, (), (R, Q)),
    (left_alone, ("1",), ("1", False, Q)),
    # defaults
    (lambda q, name="n": (q, name), (), (Q, "n")),
    (lambda name="n": (name,), (), (Q,)),
    (lambda a, scale=2: (a, scale), ("1",), ("1", 2)),
    (lambda a, request=None: (a, request), ("1",), ("1", Q)),
    (lambda request=None, responder=None: (request, responder), (), (Q, R)),
    (lambda a="x": (a,), ("1",), ("1",)),
    (lambda q, *, key="k": (q, key), (), (Q, "k")),
    # *args takes all that is left, a wrapper's what the wheel gives
    (lambda *args: args, (), (Q, R)),
    (lambda *args: args, ("1", "2"), ("1", "2", Q, R)),
    (lambda a, *args: (a, *args), ("1", "2"), ("1", "2", Q, R)),
    (lambda q, *args: (q, *args), (), (Q, R)),
    (lambda *args, **kwargs: (*args, kwargs), (), (Q, {})),
    (lambda *args, **kwargs: (*args, kwargs), ("1",), ("1", Q, {})),
    (lambda q, **kwargs: (q, kwargs), (), (Q, {})),
    # partials
    (functools.partial(lambda x, q: (x, q), "bound"), (), ("bound", Q)),
    (functools.partial(lambda q, x: (q, x), x="bound"), (), (Q, "bound")),
    (functools.partial(swapped_after_one, "bound"), (), ("bound", R, Q)),
    (functools.partial(keyword_only, responder="bound"), (), ("bound", Q)),
]


@pytest.mark.parametrize(("callback", "captures", "expected"), SHAPES)
def test_what_each_shape_is_given(callback, captures, expected):
    assert given(callback, captures) == expected


class Page:
    def method(self, a: int, request: QHttpServerRequest):
        return self, a, request

    @classmethod
    def of_class(cls, a, request):
        return cls, a, request

    @staticmethod
    def static(a, request):
        return a, request

    def __call__(self, a, request):
        return self, a, request


class Made:
    def __init__(self, a: str, request: QHttpServerRequest):
        self.made_of = a, request


def test_methods_objects_and_classes():
    page = Page()
    assert given(page.method, (1,)) == (page, 1, Q)
    assert given(Page.of_class, ("1",)) == (Page, "1", Q)
    assert given(Page.static, ("1",)) == ("1", Q)
    assert given(page, ("1",)) == (page, "1", Q)
    assert given(Made, ("1",)).made_of == ("1", Q)
    assert bind(Made, 1).capture_types == (str,)


def test_a_wrapped_function_shows_its_own_parameters():
    @functools.wraps(swapped)
    def wrapper(*args, **kwargs):
        return "wrapped", *swapped(*args, **kwargs)

    assert given(wrapper) == ("wrapped", R, Q)


@pytest.mark.parametrize(("captures", "expected"), [((), (Q,)), (("1",), ("1",)), (("1", "2"), ("1", "2"))])
def test_builtins_that_show_no_parameters(captures, expected):
    with pytest.raises(ValueError, match="no signature"):
        __import__("inspect").signature(max)
    binding = bind(max, len(captures))
    assert binding.capture_types == (None,) * len(captures)
    assert binding.call(captures, Q, R) == max(*expected)


def typed(number: int, text: str, plain, url: typing.Annotated[bytes, "x"]):
    return number


def leftover(number: int):
    return number


def leftover_before_request(number: int, request: QHttpServerRequest):
    return number


def leftover_with_request_by_position(request, number: int):
    return number


def unresolved(order: Order, request: QHttpServerRequest):
    return order


TYPES = [
    (typed, 4, (int, str, None, typing.Annotated[bytes, "x"])),
    (typed, 3, None),
    (leftover, 1, (int,)),
    (leftover, 0, (int,)),
    (leftover_before_request, 0, (int,)),
    (leftover_with_request_by_position, 0, (int,)),
    (unresolved, 1, ("Order",)),
    (lambda a, q: a, 1, (None,)),
    (lambda: (), 1, ()),
    (swapped, 2, ()),
]


@pytest.mark.parametrize(("callback", "placeholders", "types"), TYPES)
def test_the_types_of_the_captures(callback, placeholders, types):
    if types is None:
        types = (int, str, None, typing.Annotated[bytes, "x"])
    assert bind(callback, placeholders).capture_types == types


def test_annotations_that_name_local_classes():
    class Local:
        pass

    def handler(value: Local):
        return Local

    assert bind(handler, 1).capture_types == (Local,)


def test_a_cell_that_is_still_empty_is_no_obstacle():
    def handler(value: int):
        return later

    assert bind(handler, 1).capture_types == (int,)
    later = None


def second_typed(a: int, b: int):
    return a


def by_position_after_skipped(a: int = 1, request: QHttpServerRequest = None, /):
    return request


UNBINDABLE = [
    (lambda a, b, c: a, 0, 'the parameter "c"'),
    (lambda a, b, c, d: a, 1, 'the parameter "d"'),
    (second_typed, 0, 'the parameter "b"'),
    (lambda *, key: key, 0, 'the parameter "key"'),
    (by_position_after_skipped, 0, "cannot be passed by name"),
]


@pytest.mark.parametrize(("callback", "placeholders", "reason"), UNBINDABLE)
def test_what_no_request_can_fill(callback, placeholders, reason):
    with pytest.raises(UnbindableError, match=reason):
        bind(callback, placeholders)


@pytest.mark.parametrize(
    ("callback", "request_wanted", "responder_wanted"),
    [
        (lambda: (), False, False),
        (lambda q: q, True, False),
        (lambda q, r: q, True, True),
        (lambda *args: (), True, True),
        (lambda *args, **kwargs: (), True, False),
        (responder_alone, False, True),
        (keyword_only, True, True),
    ],
)
def test_what_is_wanted(callback, request_wanted, responder_wanted):
    binding = bind(callback)
    assert (binding.wants_request, binding.wants_responder) == (request_wanted, responder_wanted)


async def coroutine(request):
    return request


class Asynchronous:
    async def __call__(self, request):
        return request


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        (coroutine, True),
        (functools.partial(coroutine), True),
        (Asynchronous(), True),
        (Page().method, False),
        (lambda: (), False),
        (Made, False),
    ],
)
def test_coroutine_functions_are_known(callback, expected):
    assert bind(callback, 1).is_coroutine is expected


def test_a_coroutine_is_handed_through():
    assert asyncio.run(bind(coroutine).call((), Q, R)) == Q


@pytest.mark.parametrize(
    ("callback", "name"),
    [
        (coroutine, "coroutine"),
        (functools.partial(coroutine), "coroutine"),
        (Page().method, "Page.method"),
        (Page(), "Page"),
    ],
)
def test_names_for_logs(callback, name):
    assert callable_name(callback) == name


def test_an_exception_of_the_handler_passes():
    with pytest.raises(ZeroDivisionError):
        bind(lambda q: 1 // 0).call((), Q, R)
