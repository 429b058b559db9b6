"""Handlers that block, moved to threads."""

from __future__ import annotations

import contextvars
import inspect
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from qhttpserver_py._loop import offload
from qhttpserver_py.aio import threaded


@pytest.fixture(autouse=True)
def clean(qapp):
    yield
    offload.shut_down()


def test_it_runs_in_a_thread_of_the_pool():
    @threaded
    def handler(a, b=2):
        return a + b, threading.current_thread().name

    future = handler(1, b=5)
    assert isinstance(future, Future)
    result, name = future.result(5)
    assert result == 6
    assert name.startswith("qhttpserver")


def test_the_signature_is_the_handlers():
    def handler(number: int, request, *, extra: str = "") -> str:
        """Handler."""
        return extra

    wrapped = threaded(handler)
    assert inspect.signature(wrapped) == inspect.signature(handler)
    assert inspect.get_annotations(inspect.unwrap(wrapped)) == handler.__annotations__
    assert wrapped.__name__ == "handler"
    assert wrapped.__doc__ == "Handler."


def test_exceptions_come_through_the_future():
    @threaded
    def handler():
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        handler().result(5)


def test_context_variables_are_kept():
    variable = contextvars.ContextVar("variable")
    variable.set("callers")
    assert threaded(variable.get)().result(5) == "callers"


def test_another_executor_may_be_given():
    with ThreadPoolExecutor(1, thread_name_prefix="mine") as pool:

        @threaded(executor=pool)
        def handler():
            return threading.current_thread().name

        assert handler().result(5).startswith("mine")
    assert offload._pool is None


def test_methods_can_be_marked():
    class Api:
        @threaded
        def handler(self, value):
            return self, value

    api = Api()
    assert api.handler(3).result(5) == (api, 3)


def test_coroutine_functions_are_refused():
    async def handler():
        pass

    with pytest.raises(TypeError, match="coroutine"):
        threaded(handler)


def test_shutting_down_drops_what_waits_and_begins_anew():
    gate = threading.Event()
    block = threaded(gate.wait)
    running = [block(5) for _ in range(64)]
    waiting = threaded(int)()
    offload.shut_down()
    assert waiting.cancelled()
    gate.set()
    assert all(future.cancelled() or future.result(5) for future in running)
    assert threaded(int)().result(5) == 0
