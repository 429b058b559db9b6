"""The class of ``request.stream()``, and the error of a body that breaks off, for annotations and ``except``.

Not in Qt.
"""

from __future__ import annotations

from qhttpserver_py._content.body import BodyAborted, BodyStream

__all__ = ["BodyAborted", "BodyStream"]
