"""Compression of messages by itself: limits to the octet, streams that end, contexts that are kept or not."""

from __future__ import annotations

import zlib
from types import SimpleNamespace

import pytest

from qhttpserver_py._websocket.deflate import Deflate
from qhttpserver_py._websocket.frames import FrameFault

TEXT = b"temperature 21.5; pressure 1013; " * 40


def agreed(*, forget: bool = False, bits: int = 12) -> SimpleNamespace:
    return SimpleNamespace(
        remote_no_context_takeover=forget,
        local_no_context_takeover=forget,
        remote_max_window_bits=bits,
        local_max_window_bits=bits,
        compress_settings={"memLevel": 5},
    )


def deflated(text: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-12)
    return (deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


@pytest.mark.parametrize("size", [1, 2, 100, 1000, 4095, 4096, 4097, 65536, 1 << 20])
@pytest.mark.parametrize("byte", [b"x", b"\0"])
def test_a_message_of_the_largest_size_passes_and_one_octet_more_does_not(size: int, byte: bytes) -> None:
    payload = deflated(byte * size)
    assert Deflate(agreed()).inflate(payload, size, final=True) == byte * size
    with pytest.raises(FrameFault) as raised:
        Deflate(agreed()).inflate(payload, size - 1, final=True)
    assert raised.value.args[0] == 1009


def test_a_bomb_is_not_inflated_beyond_the_limit() -> None:
    with pytest.raises(FrameFault, match="inflated"):
        Deflate(agreed()).inflate(deflated(bytes(1 << 26)), 1000, final=True)


def test_fragments_make_one_message() -> None:
    payload, deflate = deflated(TEXT), Deflate(agreed())
    pieces = [deflate.inflate(payload[at : at + 7], 5000, final=False) for at in range(0, len(payload), 7)]
    assert b"".join(pieces) + deflate.inflate(b"", 5000, final=True) == TEXT


@pytest.mark.parametrize("forget", [False, True])
def test_what_one_side_deflates_the_other_inflates(forget: bool) -> None:
    ours, theirs = Deflate(agreed(forget=forget)), Deflate(agreed(forget=forget))
    sizes = []
    for _ in range(3):
        payload = ours.deflate(TEXT)
        sizes.append(len(payload))
        assert theirs.inflate(payload, len(TEXT), final=True) == TEXT
    assert (sizes[1] == sizes[0]) is forget  # a context that is kept makes the second message shorter


def test_a_stream_that_ends_begins_again_with_the_next_message() -> None:
    """RFC 7692 7.2.3.4: a message may end with a final block of DEFLATE, and an octet behind it."""
    deflater = zlib.compressobj(wbits=-12)
    ended = deflater.compress(TEXT) + deflater.flush(zlib.Z_FINISH) + b"\0"
    deflate = Deflate(agreed())
    assert deflate.inflate(ended, 5000, final=True) == TEXT
    assert deflate.inflate(deflated(b"next"), 5000, final=True) == b"next"


@pytest.mark.parametrize("payload", [b"\xff\xff\xff", b"\x06", b"not deflated at all"])
def test_what_cannot_be_inflated_is_a_fault(payload: bytes) -> None:
    with pytest.raises(FrameFault) as raised:
        Deflate(agreed()).inflate(payload, 5000, final=True)
    assert raised.value.args[0] == 1002
