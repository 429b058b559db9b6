"""Cassettes: what a real server answered, recorded in a file and replayed by the fake backend.

``episodes`` is the data and how requests are compared, ``secrets`` takes out what nobody is to read, ``store`` is the
file (VCR.py's format, version 1), ``forward`` asks the real server, and ``cassette`` decides which of it happens.
"""

from __future__ import annotations

from qhttpserver_py.testing.cassette.cassette import Cassette, CassetteWarning
from qhttpserver_py.testing.cassette.episodes import Episode, RecordedRequest, RecordedResponse

__all__ = ["Cassette", "CassetteWarning", "Episode", "RecordedRequest", "RecordedResponse"]
