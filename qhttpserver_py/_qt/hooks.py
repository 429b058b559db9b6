"""Calls hooks, which are user code, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import NoReturn


def call_each(
    hooks: Iterable[Callable[[], object]],
    report: Callable[[Exception], object],
    post: Callable[[Callable[[], object]], object],
) -> None:
    """Call all *hooks*; what one raises affects neither the others nor the caller.

    Exceptions are given to *report*. A BaseException that is no Exception, such as Ctrl-C or ``pytest.fail()``, is
    raised later, in a call given to *post*, so that the caller completes what it is doing.
    """
    for hook in hooks:
        try:
            hook()
        except Exception as error:  # noqa: BLE001 - user code
            report(error)
        except BaseException as error:  # noqa: BLE001 - raised by what is posted
            post(partial(_raise, error))


def _raise(error: BaseException) -> NoReturn:
    raise error
