"""Code of others that is told of something, one piece after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import NoReturn


def call_each(
    hooks: Iterable[Callable[[], object]],
    report: Callable[[Exception], object],
    post: Callable[[Callable[[], object]], object],
) -> None:
    """Call all *hooks*: the fault of one costs the others, and the caller, nothing.

    *report* is told of exceptions. A BaseException that is no Exception, such as Ctrl-C or ``pytest.fail()``, is
    raised in a turn of its own, by *post*: what is being ended here is not to be left half done.
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
