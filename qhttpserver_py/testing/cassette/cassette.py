"""A cassette in use: it decides which requests are replayed, which go to the real server, and what is recorded."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit, urlunsplit

from PySide6.QtCore import QUrl

from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverresponse import QHttpServerResponse
from qhttpserver_py.testing import reply as replies
from qhttpserver_py.testing.cassette import store
from qhttpserver_py.testing.cassette.episodes import (
    Compare,
    Episode,
    RecordedRequest,
    RecordedResponse,
    check_names,
    differences,
)
from qhttpserver_py.testing.cassette.forward import Forwarder, without_hops
from qhttpserver_py.testing.cassette.secrets import SecretFilter
from qhttpserver_py.testing.intercept.origins import is_loopback
from qhttpserver_py.testing.matcher import Mismatch, RequestMatcher

_ORIGIN = ("scheme", "host", "port")

Mode = Literal["none", "once", "new_episodes", "all"]
BeforeRecord = Callable[[Episode], Episode | None]


class CassetteWarning(UserWarning):
    """A cassette has episodes that no request asked for, or old ones. Not in Qt."""


class Cassette(RequestMatcher):
    """Replays what was recorded, and records what was not; made by ``FakeBackend.use_cassette()``, which says more.

    ``episodes`` are those of the file and the new ones, ``unused`` those that no request asked for.

    Not in Qt.
    """

    def __init__(
        self,
        path: Path,
        *,
        target: str | None,
        mode: Mode,
        match_on: Sequence[str | Compare] | None,
        filter_headers: Iterable[str],
        filter_keys: Iterable[str],
        before_record: BeforeRecord | None,
        repeat: bool,
        fail_unused: bool,
        max_age: timedelta | None,
    ) -> None:
        super().__init__("")
        if mode not in get_args(Mode):
            raise ValueError(f"the mode of a cassette is {', '.join(get_args(Mode))}, not {mode!r}")
        self.path = path
        self.mode: Mode = mode
        self.fail_unused = fail_unused
        self.episodes: list[Episode] = store.load(path) if mode != "all" and path.is_file() else []
        self._target = (target or "").rstrip("/")
        self._match_on = check_names(("method", *_ORIGIN, "path", "query") if match_on is None else match_on)
        self._filter = SecretFilter(filter_headers, filter_keys)
        self._before_record = before_record
        self._repeat = repeat
        self._max_age = max_age
        self._records = mode in ("all", "new_episodes") or (mode == "once" and not path.is_file())
        if self._target and urlsplit(self._target).scheme not in ("http", "https"):
            raise ValueError(f"target= is the URL of the real server, not {target!r}")
        self._played: set[int] = set()
        self._new = 0
        self._forwarder: Forwarder | None = None

    @property
    def unused(self) -> list[Episode]:
        """The recorded episodes that no request asked for. Not in Qt."""
        return [episode for episode in self.episodes if id(episode) not in self._played]

    def difference(self, request: QHttpServerRequest) -> list[Mismatch]:
        """Return nothing where *request* can be answered, else how it differs from the closest episode. Not in Qt."""
        came = self._filter.request(self._recorded(request))
        if self._find(came) is not None and self.mode != "all":
            return []
        if self._records:
            wanted = "the URL of the real server: give target=, or intercept it"
            return [] if self._knows_origin(came) else [Mismatch("target", wanted, came.uri)]
        found = [self._mismatches(came, episode) for episode in self.episodes]
        if not found:
            return [Mismatch("path", f"nothing: {self.path.name} is empty or missing", came.parts.path)]
        return min(found, key=len) or [Mismatch("episode", "asked for once", "asked for again")]

    def __repr__(self) -> str:
        """The file and the mode."""
        return f"cassette {self.path.name} (mode {self.mode})"

    def answer(self, request: QHttpServerRequest) -> Any:
        """Return the recorded answer, or a future of that of the real server."""
        came = self._recorded(request)
        episode = self._find(self._filter.request(came)) if self.mode != "all" else None
        if episode is not None:
            self._played.add(id(episode))
            return as_response(episode.response)
        future: Future[QHttpServerResponse] = Future()
        future.set_running_or_notify_cancel()
        if self._forwarder is None:
            self._forwarder = Forwarder()

        def done(response: RecordedResponse | None, error: Exception | None) -> None:
            if response is None:
                future.set_exception(error)
                return
            self._record(Episode(came, response, datetime.now(UTC)))
            future.set_result(as_response(response))

        self._forwarder.send(came, done)
        return future

    def report_unused(self) -> str:
        """Return what is wrong where unused episodes fail the test, else an empty text."""
        if not (self.fail_unused and self.unused):
            return ""
        return "\n".join([f"{self!r}: nobody asked for", *(f"  {_line(episode)}" for episode in self.unused)])

    def close(self) -> None:
        """Write new episodes to the file; warn of unused and of old ones."""
        if self._forwarder is not None:
            self._forwarder.close()
            self._forwarder = None
        if self._new:
            store.save(self.path, self.episodes)
            self._new = 0
        if self.unused and not self.fail_unused:
            lines = ", ".join(_line(episode) for episode in self.unused)
            warnings.warn(f"{self!r}: nobody asked for {lines}", CassetteWarning, stacklevel=2)
        old = [episode for episode in self.episodes if self._is_stale(episode)]
        if old:
            lines = ", ".join(_line(episode) for episode in old)
            warnings.warn(f"{self!r}: older than {self._max_age}: {lines}", CassetteWarning, stacklevel=2)

    def _is_stale(self, episode: Episode) -> bool:
        when = episode.recorded_at
        if self._max_age is None or when is None:
            return False
        return datetime.now(UTC) - (when if when.tzinfo else when.replace(tzinfo=UTC)) > self._max_age

    def _record(self, episode: Episode) -> None:
        kept: Episode | None = self._filter.episode(episode)
        if self._before_record is not None and kept is not None:
            kept = self._before_record(kept)
        if kept is not None:
            self.episodes.append(kept)
            self._played.add(id(kept))
            self._new += 1

    def _find(self, came: RecordedRequest) -> Episode | None:
        alike = [episode for episode in self.episodes if not self._differences(came, episode)]
        fresh = next((episode for episode in alike if id(episode) not in self._played), None)
        return fresh or (alike[-1] if alike and self._repeat else None)

    def _differences(self, came: RecordedRequest, episode: Episode) -> list[tuple[str, object, object]]:
        parts = self._match_on if self._knows_origin(came) else [part for part in self._match_on if part not in _ORIGIN]
        return differences(came, self._filter.request(episode.request), parts)

    def _mismatches(self, came: RecordedRequest, episode: Episode) -> list[Mismatch]:
        return [Mismatch(*item) for item in self._differences(came, episode)]

    def _recorded(self, request: QHttpServerRequest) -> RecordedRequest:
        message = request._message
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.headers]
        kept = [(name, value) for name, value in without_hops(fields) if name.lower() != "host"]
        target = message.target.decode("latin-1").partition("#")[0]
        if not target.startswith("/"):  # absolute-form, through a proxy (RFC 9112 3.2.2)
            parts = urlsplit(target)
            target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        return RecordedRequest(message.method, f"{self._target or _origin(request)}{target}", kept, bytes(message.body))

    def _knows_origin(self, came: RecordedRequest) -> bool:
        """Whether the URI of *came* is the real server's: by the target, or since the request was intercepted."""
        return bool(self._target) or not is_loopback(came.parts.hostname or "")


def as_response(recorded: RecordedResponse) -> QHttpServerResponse:
    """Return *recorded* as it is sent: without the fields of the connection it came by."""
    return replies.make_response(recorded.body, recorded.status, without_hops(recorded.headers))


def _origin(request: QHttpServerRequest) -> str:
    """Return scheme and authority that *request* was sent to."""
    url = request.url()
    return f"{url.scheme()}://{url.authority(QUrl.ComponentFormattingOption.FullyEncoded)}"


def _line(episode: Episode) -> str:
    return f"{episode.request.method} {episode.request.uri}"
