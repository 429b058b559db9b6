"""Deadlines of things that make progress independently, such as the streams of a connection. It reads no clock."""

from __future__ import annotations

from collections.abc import Iterable


class Progress:
    """Notes when each of several counts last grew."""

    __slots__ = ("_marks",)

    def __init__(self) -> None:
        self._marks: dict[int, tuple[int, float]] = {}

    def overdue(self, counts: Iterable[tuple[int, int]], least: float, now: float, limit: float) -> list[int]:
        """Return the keys of *counts* that did not grow by *least* for *limit* seconds; forget all others.

        *counts* are pairs of a key and its count at the time *now*.
        """
        marks: dict[int, tuple[int, float]] = {}
        late: list[int] = []
        for key, count in counts:
            mark = self._marks.get(key)
            if mark is None or count - mark[0] >= least:
                mark = count, now
            elif now - mark[1] >= limit:
                late.append(key)
            marks[key] = mark
        self._marks = marks
        return late

    def postpone_deadlines(self, seconds: float) -> None:
        """Nobody is to blame for so many seconds."""
        for key, (count, since) in self._marks.items():
            self._marks[key] = count, since + seconds


class StreamDeadlines:
    """The deadlines of an HTTP/2 connection, stream by stream: other streams and PINGs postpone none."""

    __slots__ = ("_idle", "replies", "uploads")

    def __init__(self) -> None:
        self.uploads = Progress()
        self.replies = Progress()
        self._idle = (-1, 0.0)  # the number of requests when none was open, and since when

    def is_idle(self, requests: int, active_at: float, now: float, timeout: float) -> bool:
        """Return whether no request was open for *timeout* seconds; *requests* is ``Engine.requests``."""
        if requests < 0 or requests != self._idle[0]:
            self._idle = requests, active_at
        return requests >= 0 and now - self._idle[1] >= timeout

    def postpone_deadlines(self, seconds: float) -> None:
        """Nobody is to blame for so many seconds."""
        self.uploads.postpone_deadlines(seconds)
        self.replies.postpone_deadlines(seconds)
        self._idle = self._idle[0], self._idle[1] + seconds
