"""Blocking clients in threads, while Qt's loop serves them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .rawclient import spin


def in_thread(work: Callable[..., Any], *arguments: Any, timeout: float = 20) -> Any:
    """Return what *work* returned, or raise what it raised, in a thread of its own."""
    result: list[Any] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work(*arguments))
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert spin(lambda: not thread.is_alive(), timeout)
    if raised:
        raise raised[0]
    return result[0]
