from http import HTTPStatus

import pytest

from qhttpserver_py._content.status import CODES, StatusCode, code_of


def test_a_plain_enum_of_61_codes():
    assert len(StatusCode) == 61
    assert StatusCode.Ok != 200
    assert StatusCode(404) is StatusCode.NotFound
    assert repr(StatusCode.Ok) == "<StatusCode.Ok: 200>"
    assert CODES[599] is StatusCode.NetworkConnectTimeoutError


@pytest.mark.parametrize("absent", [103, 306, 419, 420, 425, 427, 430, 509])
def test_no_code_is_invented(absent):
    assert absent not in CODES


@pytest.mark.parametrize(
    ("status", "code"),
    [(StatusCode.Created, 201), (HTTPStatus.GONE, 410), (100, 100), (599, 599), (425, 425)],
)
def test_code_of(status, code):
    assert code_of(status) == code
    assert type(code_of(status)) is int


@pytest.mark.parametrize("status", [99, 600, 0, -1, 1000])
def test_code_of_no_status(status):
    with pytest.raises(ValueError, match="100 to 599"):
        code_of(status)


@pytest.mark.parametrize("status", ["200", 200.0, None, True, StatusCode])
def test_code_of_another_type(status):
    with pytest.raises(TypeError, match="StatusCode or an int"):
        code_of(status)
