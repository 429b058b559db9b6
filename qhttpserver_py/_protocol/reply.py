"""Lifecycle of one reply. Pure: knows neither Qt nor bytes.

Strategy: every rule about which operation may follow which is in ``NEXT`` and nowhere else. The exhaustive test reads
the same table.
"""

from __future__ import annotations

from enum import IntEnum


class ReplyState(IntEnum):
    """How far a reply is, as the handler sees it."""

    WAITING = 0
    STREAMING = 1
    DONE = 2
    CANCELED = 3


WAITING, STREAMING, DONE, CANCELED = ReplyState

OPERATIONS = ("send", "begin", "chunk", "end", "cancel")

# Absent pairs are misuse by the caller, e.g. a chunk after the end.
# CANCELED accepts and ignores everything: that the peer left is not the handler's fault.
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
