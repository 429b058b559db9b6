"""A stretch of a file as a device of its own."""

from __future__ import annotations

from PySide6.QtCore import QFile, QIODevice


class FileRange(QIODevice):
    """*length* bytes of an open *file* from *first* on, as a random-access device.

    It owns the file. A file that became shorter meanwhile reads short, which the reply notices.
    """

    def __init__(self, file: QFile, first: int, length: int) -> None:
        super().__init__()
        file.setParent(self)
        self._file = file
        self._first = first
        self._length = length
        mode = QIODevice.OpenModeFlag.ReadOnly | QIODevice.OpenModeFlag.Unbuffered
        self.open(mode)

    def size(self) -> int:
        """Return the length of the stretch in bytes."""
        return self._length

    def readData(self, maxlen: int) -> bytes:
        """Read the next bytes at the current position."""
        position = self.pos()
        self._file.seek(self._first + position)
        return bytes(self._file.read(max(0, min(maxlen, self._length - position))).data())

    def close(self) -> None:
        """Close this and the file."""
        super().close()
        self._file.close()
