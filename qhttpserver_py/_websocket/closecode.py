"""Why a WebSocket was closed."""

from __future__ import annotations

from enum import IntEnum


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
