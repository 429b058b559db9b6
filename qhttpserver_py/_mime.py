"""Content types, guessed as Qt guesses them."""

from __future__ import annotations

from PySide6.QtCore import QMimeDatabase


def sniff(body: bytes) -> bytes:
    """Return the type QMimeDatabase gives *body*."""
    return QMimeDatabase().mimeTypeForData(body).name().encode()
