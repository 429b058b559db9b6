"""Watches silent sockets by one descriptor instead of one by one.

Qt passes every descriptor to the system at each turn of its event loop, so a request costs more the more connections
are idle. Strategy: the notifier with which Qt watches a silent socket is disabled, and its descriptor is put into an
epoll object, or a kqueue, which a notifier of our own watches. When a descriptor is reported, Qt's notifier is enabled
again, and Qt reads what there is, or finds the end. Writing, closing and deadlines need no notifier for reading. Where
the system has neither, nothing is parked.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any, Protocol

from PySide6.QtCore import QSocketNotifier
from shiboken6 import isValid

PARK_ABOVE = 64
"""With no more connections than this, Qt watches each by itself, because parking would cost more than it saves."""

AT_ONCE = 256
"""How many sockets are returned to Qt in one turn; the others are reported in the next."""


class Poller(Protocol):
    """A set of descriptors that has a descriptor itself, which is readable when one of the set is, or has ended."""

    def fileno(self) -> int:
        """Return the set's own descriptor."""
        ...

    def add(self, descriptor: int, /) -> None:
        """Report *descriptor* once. Raises OSError."""
        ...

    def remove(self, descriptor: int, /) -> None:
        """Report *descriptor* no more. Raises OSError where it is not in the set."""
        ...

    def ready(self, most: int) -> list[int]:
        """Return what is to be reported now, without waiting."""
        ...

    def close(self) -> None:
        """Close the set."""
        ...


class Epoll:
    """The implementation for Linux."""

    def __init__(self) -> None:
        self._epoll: Any = getattr(select, "epoll")()  # noqa: B009 - other systems' type checkers know no epoll
        self.fileno: Callable[[], int] = self._epoll.fileno
        self.remove: Callable[[int], None] = self._epoll.unregister
        self.close: Callable[[], None] = self._epoll.close
        # Reported once only: a descriptor that was closed while a duplicate of it is open could not be removed.
        self._events = sum(getattr(select, name) for name in ("EPOLLIN", "EPOLLRDHUP", "EPOLLONESHOT"))

    def add(self, descriptor: int, /) -> None:
        """See ``Poller``."""
        try:
            self._epoll.register(descriptor, self._events)
        except FileExistsError:
            self._epoll.modify(descriptor, self._events)

    def ready(self, most: int) -> list[int]:
        """See ``Poller``."""
        return [descriptor for descriptor, _ in self._epoll.poll(0, most)]


class Kqueue:
    """The implementation for macOS and the BSDs."""

    def __init__(self) -> None:
        self._kqueue: Any = getattr(select, "kqueue")()  # noqa: B009 - as above
        self.fileno: Callable[[], int] = self._kqueue.fileno
        self.close: Callable[[], None] = self._kqueue.close

    def add(self, descriptor: int, /) -> None:
        """See ``Poller``."""
        self._change(descriptor, "KQ_EV_ADD", "KQ_EV_ONESHOT")

    def remove(self, descriptor: int, /) -> None:
        """See ``Poller``."""
        self._change(descriptor, "KQ_EV_DELETE")

    def _change(self, descriptor: int, *flags: str) -> None:
        native: Any = select
        event = native.kevent(descriptor, native.KQ_FILTER_READ, sum(getattr(native, flag) for flag in flags))
        self._kqueue.control([event], 0, 0)

    def ready(self, most: int) -> list[int]:
        """See ``Poller``."""
        return [event.ident for event in self._kqueue.control(None, most, 0)]


def make_poller() -> Poller | None:
    """Return a new set; None where the system has none, or no descriptor left for it."""
    try:
        if hasattr(select, "epoll"):
            return Epoll()
        if hasattr(select, "kqueue"):
            return Kqueue()
    except OSError:
        pass
    return None


class Parking:
    """The silent sockets of one server, each with a key. It belongs to the server's thread."""

    def __init__(self) -> None:
        self._poller: Poller | None = None
        self._own: QSocketNotifier | None = None  # watches the poller
        self._parked: dict[int, tuple[object, QSocketNotifier]] = {}  # by descriptor
        self._descriptors: dict[object, int] = {}
        self.resting: set[object] = set()
        """Keys of the parked ones whose ``rest()`` returned True."""

    def __contains__(self, key: object) -> bool:
        return key in self._descriptors

    def __len__(self) -> int:
        return len(self._descriptors)

    def park(self, key: object, socket: Any, *, rests: bool) -> bool:
        """Watch *socket* for *key* instead of Qt; return False, and change nothing, where that is impossible."""
        notifier = _reading(socket)
        if notifier is None or not self._open():
            return False
        descriptor = int(notifier.socket())
        assert self._poller is not None
        try:
            self._poller.add(descriptor)
        except OSError:
            return False
        before = self._parked.get(descriptor)
        if before is not None:  # the socket of that key was closed, and the system has used its number again
            self._drop(before[0])
        notifier.setEnabled(False)
        self._parked[descriptor] = (key, notifier)
        self._descriptors[key] = descriptor
        if rests:
            self.resting.add(key)
        return True

    def leave(self, key: object) -> None:
        """Have Qt watch the socket of *key* again, if it still exists. Idempotent."""
        descriptor = self._descriptors.get(key)
        if descriptor is None or self._poller is None:
            return
        _, notifier = self._parked.pop(descriptor)
        self._drop(key)
        try:
            self._poller.remove(descriptor)
        except OSError:
            pass  # it was closed, which removed it from the set
        if isValid(notifier):
            notifier.setEnabled(True)

    def close(self) -> None:
        """Return all sockets to Qt, and close the set. It may be used again."""
        for key in tuple(self._descriptors):
            self.leave(key)
        own, self._own = self._own, None
        if own is not None:
            own.setEnabled(False)
        poller, self._poller = self._poller, None
        if poller is not None:
            poller.close()

    def _open(self) -> bool:
        if self._poller is None:
            self._poller = make_poller()
            if self._poller is None:
                return False
            self._own = QSocketNotifier(self._poller.fileno(), QSocketNotifier.Type.Read)
            self._own.activated.connect(self._wake)
        return True

    def _wake(self) -> None:
        if self._poller is None:
            return
        for descriptor in self._poller.ready(AT_ONCE):
            parked = self._parked.get(descriptor)
            if parked is not None:
                self.leave(parked[0])

    def _drop(self, key: object) -> None:
        self._descriptors.pop(key, None)
        self.resting.discard(key)


def _reading(socket: Any) -> QSocketNotifier | None:
    """Return the enabled notifier by which Qt reads *socket*, also inside of a QSslSocket or a QLocalSocket."""
    for notifier in socket.findChildren(QSocketNotifier):
        if notifier.type() is QSocketNotifier.Type.Read and notifier.isEnabled():
            return notifier  # type: ignore[no-any-return]
    return None
