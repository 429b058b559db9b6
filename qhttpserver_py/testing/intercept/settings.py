"""What of the whole process changes while something is intercepted: Qt's proxy, and what Qt's clients trust.

A QNetworkProxyFactory written in Python would know the line that asks. But Qt holds a lock while it calls one, most
calls of the binding hold Python's lock while they wait for Qt's, and two threads that use the network then wait for
each other. So a fixed proxy is set, and the proxy decides.
"""

from __future__ import annotations

from typing import ClassVar

from PySide6.QtNetwork import QNetworkProxy, QNetworkProxyFactory

HTTP = QNetworkProxy.ProxyType.HttpProxy
NONE = QNetworkProxy.ProxyType.NoProxy
DEFAULT = QNetworkProxy.ProxyType.DefaultProxy


class ApplicationProxy:
    """Makes Qt's clients use a proxy on a port of this computer until ``revoke``; the newest one is used.

    Qt itself exempts loopback addresses and ``localhost``.
    """

    _active: ClassVar[list[ApplicationProxy]] = []
    _before: ClassVar[tuple[bool, QNetworkProxy] | None] = None

    def __init__(self, port: int) -> None:
        self.port = port
        cls = ApplicationProxy
        if not cls._active:
            system = QNetworkProxyFactory.usesSystemConfiguration()
            cls._before = (system, QNetworkProxy(NONE) if system else QNetworkProxy.applicationProxy())
        cls._active.append(self)
        cls._apply()

    def revoke(self) -> None:
        """Restore the former proxy; calling it twice is harmless."""
        cls = ApplicationProxy
        if self in cls._active:
            cls._active.remove(self)
            cls._apply()

    def older(self) -> ApplicationProxy | None:
        """Return the one that was active before this."""
        index = ApplicationProxy._active.index(self) if self in ApplicationProxy._active else 0
        return ApplicationProxy._active[index - 1] if index else None

    @staticmethod
    def former() -> QNetworkProxy | None:
        """Return the proxy that the application had before, if any."""
        before = ApplicationProxy._before
        return before[1] if before is not None and before[1].type() not in (NONE, DEFAULT) else None

    @classmethod
    def _apply(cls) -> None:
        if cls._active:
            QNetworkProxy.setApplicationProxy(QNetworkProxy(HTTP, "127.0.0.1", cls._active[-1].port))
        elif cls._before is not None:
            (system, proxy), cls._before = cls._before, None
            if system:
                QNetworkProxyFactory.setUseSystemConfiguration(True)
            else:
                QNetworkProxy.setApplicationProxy(proxy)
