"""Lifecycle of one reply. Pure: knows neither Qt nor bytes.

Strategy: every rule about what may follow what is in ``NEXT``, nowhere else.
The exhaustive test walks the same table.
"""

from __future__ import annotations

from enum import IntEnum


class ReplyState(IntEnum):
    """Where a reply stands, seen from the handler."""

    WAITING = 0
    STREAMING = 1
    DONE = 2
    CANCELED = 3


WAITING, STREAMING, DONE, CANCELED = ReplyState

OPERATIONS = ("send", "begin", "chunk", "end", "cancel")

# Absent pairs are misuse by the caller, e.g. a chunk after the end.
# CANCELED swallows everything: the peer left, and that is not the handler's fault.
NEXT: dict[tuple[ReplyState, str], ReplyState] = {
    (WAITING, "send"): DONE,
    (WAITING, "begin"): STREAMING,
    (STREAMING, "chunk"): STREAMING,
    (STREAMING, "end"): DONE,
    (WAITING, "cancel"): CANCELED,
    (STREAMING, "cancel"): CANCELED,
    (DONE, "cancel"): DONE,
    **{(CANCELED, operation): CANCELED for operation in OPERATIONS},
}


class ReplyMisuse(RuntimeError):  # noqa: N818 - named for what happened
    """The handler used a responder out of order; raised at the faulty call."""


def advance(state: ReplyState, operation: str) -> ReplyState:
    """Return the state after *operation*, or raise ``ReplyMisuse``."""
    try:
        return NEXT[state, operation]
    except KeyError:
        raise ReplyMisuse(_remedy(state, operation)) from None


def _remedy(state: ReplyState, operation: str) -> str:
    if state is DONE:
        return f"cannot {operation}: the reply was already sent; a responder answers exactly once"
    if state is STREAMING:
        return f"cannot {operation}: a streamed reply is open; finish it with writeEndChunked()"
    return f"cannot {operation}: no streamed reply was begun; call writeBeginChunked() first"
