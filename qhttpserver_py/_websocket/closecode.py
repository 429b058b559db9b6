"""Why a WebSocket was closed, and the versions of its protocol, by Qt's names."""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class CloseCode(IntEnum):
    """Why a WebSocket was closed (RFC 6455 7.4.1), by the names of QWebSocketProtocol. Qt: QWebSocketProtocol."""

    CloseCodeNormal = 1000
    CloseCodeGoingAway = 1001
    CloseCodeProtocolError = 1002
    CloseCodeDatatypeNotSupported = 1003
    CloseCodeReserved1004 = 1004
    CloseCodeMissingStatusCode = 1005
    CloseCodeAbnormalDisconnection = 1006
    CloseCodeWrongDatatype = 1007
    CloseCodePolicyViolated = 1008
    CloseCodeTooMuchData = 1009
    CloseCodeMissingExtension = 1010
    CloseCodeBadOperation = 1011
    CloseCodeTlsHandshakeFailed = 1015

    @classmethod
    def _missing_(cls, value: Any) -> CloseCode | None:
        """Return a member without a name for a code of an application's or a later standard's, as PySide does."""
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_, member._value_ = str(value), value
        return member


class Version(IntEnum):
    """The versions of the protocol; a server here speaks the last one. Qt: QWebSocketProtocol."""

    VersionUnknown = -1
    Version0 = 0
    Version4 = 4
    Version5 = 5
    Version6 = 6
    Version7 = 7
    Version8 = 8
    Version13 = 13
    VersionLatest = 13
