"""The life of a reply: every state times every operation."""

from __future__ import annotations

import itertools

import pytest

from qhttpserver_py._protocol.reply import NEXT, OPERATIONS, ReplyMisuse, ReplyState, advance

ALLOWED = {
    ("WAITING", "send"): "DONE",
    ("WAITING", "begin"): "STREAMING",
    ("WAITING", "cancel"): "CANCELED",
    ("STREAMING", "chunk"): "STREAMING",
    ("STREAMING", "end"): "DONE",
    ("STREAMING", "cancel"): "CANCELED",
    ("DONE", "cancel"): "DONE",
    **{("CANCELED", operation): "CANCELED" for operation in OPERATIONS},
}


@pytest.mark.parametrize(("state", "operation"), list(itertools.product(ReplyState, OPERATIONS)))
def test_every_state_times_every_operation(state: ReplyState, operation: str) -> None:
    expected = ALLOWED.get((state.name, operation))
    if expected is None:
        with pytest.raises(ReplyMisuse, match=f"cannot {operation}"):
            advance(state, operation)
    else:
        assert advance(state, operation) is ReplyState[expected]


def test_misuse_is_a_runtime_error_that_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="exactly once"):
        advance(ReplyState.DONE, "send")
    with pytest.raises(RuntimeError, match=r"writeBeginChunked\(\) first"):
        advance(ReplyState.WAITING, "chunk")
    with pytest.raises(RuntimeError, match=r"writeEndChunked\(\)"):
        advance(ReplyState.STREAMING, "send")


def test_the_table_holds_nothing_else() -> None:
    assert len(NEXT) == len(ALLOWED)
