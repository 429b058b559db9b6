import copy

import pytest
from PySide6.QtCore import QByteArray

from qhttpserver_py.qhttpserverresponse import QHttpServerResponse
from qhttpserver_py.qhttpserverwebsocketupgraderesponse import QHttpServerWebSocketUpgradeResponse as Verdict

Type = Verdict.ResponseType


def facts(verdict):
    return verdict.type(), verdict.denyStatus(), verdict.denyMessage().data()


@pytest.mark.parametrize(
    ("verdict", "expected", "text"),
    [
        (Verdict.accept(), (Type.Accept, 403, b"Forbidden"), "accept()"),
        (Verdict.passToNext(), (Type.PassToNext, 403, b"Forbidden"), "passToNext()"),
        (Verdict.deny(), (Type.Deny, 403, b"Forbidden"), "deny(403, b'Forbidden')"),
        (Verdict.deny(401, b"who?"), (Type.Deny, 401, b"who?"), "deny(401, b'who?')"),
        (Verdict.deny(403, b""), (Type.Deny, 403, b""), "deny(403, b'')"),
    ],
)
def test_verdicts(verdict, expected, text):
    assert facts(verdict) == expected
    assert repr(verdict) == f"QHttpServerWebSocketUpgradeResponse.{text}"


@pytest.mark.parametrize("message", [b"m", bytearray(b"m"), memoryview(b"m"), QByteArray(b"m"), "m"])
def test_messages(message):
    assert Verdict.deny(400, message).denyMessage() == b"m"


def test_the_message_handed_out_is_a_copy():
    verdict = Verdict.deny()
    verdict.denyMessage().append(b"x")
    assert verdict.denyMessage() == b"Forbidden"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((401,), TypeError),
        ((403,), TypeError),
        ((None, b""), TypeError),
        (("401", b""), TypeError),
        ((4.5, b""), TypeError),
        ((401, 5), TypeError),
        ((2**31, b""), OverflowError),
        ((-(2**31) - 1, b""), OverflowError),
    ],
)
def test_deny_refuses(arguments, error):
    with pytest.raises(error):
        Verdict.deny(*arguments)


def test_a_status_code_will_do():
    assert Verdict.deny(QHttpServerResponse.StatusCode.Gone, b"").denyStatus() == 410


def test_values_of_the_enumeration():
    assert [(member.name, member.value) for member in Type] == [("Accept", 0), ("Deny", 1), ("PassToNext", 2)]
    assert Type.__qualname__ == "QHttpServerWebSocketUpgradeResponse.ResponseType"


@pytest.mark.parametrize("duplicate", [Verdict, copy.copy, copy.deepcopy])
def test_copy(duplicate):
    verdict = Verdict.deny(401, b"x")
    twin = duplicate(verdict)
    assert twin is not verdict
    assert facts(twin) == facts(verdict)


def test_swap():
    one, two = Verdict.deny(401, b"x"), Verdict.accept()
    one.swap(two)
    assert facts(one) == (Type.Accept, 403, b"Forbidden")
    assert facts(two) == (Type.Deny, 401, b"x")


def test_there_is_no_default():
    with pytest.raises(TypeError):
        Verdict()


@pytest.mark.parametrize("bad", [None, 1, Type.Accept])
def test_wrong_types_are_refused(bad):
    with pytest.raises(TypeError, match="expected a QHttpServerWebSocketUpgradeResponse"):
        Verdict(bad)
    with pytest.raises(TypeError, match="expected a QHttpServerWebSocketUpgradeResponse"):
        Verdict.accept().swap(bad)


def test_a_subprotocol_travels_with_the_verdict():
    verdict = Verdict.accept(subprotocol="v1.chat")
    assert (verdict.type(), verdict._subprotocol) == (Type.Accept, "v1.chat")
    assert repr(verdict) == "QHttpServerWebSocketUpgradeResponse.accept(subprotocol='v1.chat')"
    assert [copied._subprotocol for copied in (Verdict(verdict), copy.copy(verdict))] == ["v1.chat"] * 2
    other = Verdict.deny()
    other.swap(verdict)
    assert (verdict._subprotocol, other._subprotocol) == ("", "v1.chat")
    assert facts(verdict) == facts(Verdict.deny())


@pytest.mark.parametrize(
    ("name", "error"),
    [(b"chat", TypeError), (None, TypeError), ("a b", ValueError), ("a,b", ValueError), ("é", ValueError)],
)
def test_what_is_no_subprotocol(name, error):
    with pytest.raises(error):
        Verdict.accept(subprotocol=name)


def test_a_subprotocol_has_a_name():
    with pytest.raises(TypeError):
        Verdict.accept("chat")
