"""``QHttpServerResponder.StatusCode``: a file of its own, because responses and responders both need it."""

from __future__ import annotations

from enum import Enum


class StatusCode(Enum):
    """The status codes Qt names; any other is passed as a plain ``int``.

    A plain Enum, as in Qt for Python: ``StatusCode.Ok == 200`` is false, ``.value`` is the number.

    Qt: QHttpServerResponder::StatusCode.
    """

    Continue = 100
    SwitchingProtocols = 101
    Processing = 102
    Ok = 200
    Created = 201
    Accepted = 202
    NonAuthoritativeInformation = 203
    NoContent = 204
    ResetContent = 205
    PartialContent = 206
    MultiStatus = 207
    AlreadyReported = 208
    IMUsed = 226
    MultipleChoices = 300
    MovedPermanently = 301
    Found = 302
    SeeOther = 303
    NotModified = 304
    UseProxy = 305
    TemporaryRedirect = 307
    PermanentRedirect = 308
    BadRequest = 400
    Unauthorized = 401
    PaymentRequired = 402
    Forbidden = 403
    NotFound = 404
    MethodNotAllowed = 405
    NotAcceptable = 406
    ProxyAuthenticationRequired = 407
    RequestTimeout = 408
    Conflict = 409
    Gone = 410
    LengthRequired = 411
    PreconditionFailed = 412
    PayloadTooLarge = 413
    UriTooLong = 414
    UnsupportedMediaType = 415
    RequestRangeNotSatisfiable = 416
    ExpectationFailed = 417
    ImATeapot = 418
    MisdirectedRequest = 421
    UnprocessableEntity = 422
    Locked = 423
    FailedDependency = 424
    UpgradeRequired = 426
    PreconditionRequired = 428
    TooManyRequests = 429
    RequestHeaderFieldsTooLarge = 431
    UnavailableForLegalReasons = 451
    InternalServerError = 500
    NotImplemented = 501
    BadGateway = 502
    ServiceUnavailable = 503
    GatewayTimeout = 504
    HttpVersionNotSupported = 505
    VariantAlsoNegotiates = 506
    InsufficientStorage = 507
    LoopDetected = 508
    NotExtended = 510
    NetworkAuthenticationRequired = 511
    NetworkConnectTimeoutError = 599


CODES: dict[int, StatusCode] = {member.value: member for member in StatusCode}
"""Every named status by its number."""

Status = StatusCode | int  # an http.HTTPStatus is an int


def code_of(status: object) -> int:
    """Return the number of *status*, which is a StatusCode or an int.

    Raises TypeError for another type and ValueError for a number outside 100 to 599 (RFC 9110 15).
    """
    if isinstance(status, StatusCode):
        return status.value
    if not isinstance(status, int) or isinstance(status, bool):
        raise TypeError(f"a status is a StatusCode or an int, not {type(status).__name__}")
    if not 100 <= status <= 599:
        raise ValueError(f"{status} is no HTTP status: use 100 to 599")
    return int(status)
