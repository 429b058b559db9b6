"""The wire formats. Pure: stdlib, httptools and h2 only; PySide6 is never imported here."""
