"""Content types of files: a fixed table for the web's own formats, then Qt's MIME database.

The table comes first because the database is made for desktops: in it, ``.ts`` is Qt Linguist's, ``.wasm`` and ``.map``
are unknown, and the rest depends on the packages installed.
"""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QMimeDatabase

_TYPES = {
    "atom": "application/atom+xml",
    "avif": "image/avif",
    "bin": "application/octet-stream",
    "bz2": "application/x-bzip2",
    "cjs": "text/javascript",
    "css": "text/css",
    "csv": "text/csv",
    "eot": "application/vnd.ms-fontobject",
    "flac": "audio/flac",
    "geojson": "application/geo+json",
    "gif": "image/gif",
    "glb": "model/gltf-binary",
    "gltf": "model/gltf+json",
    "gz": "application/gzip",
    "htm": "text/html",
    "html": "text/html",
    "ico": "image/x-icon",
    "ics": "text/calendar",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript",
    "json": "application/json",
    "json5": "application/json5",
    "jsonld": "application/ld+json",
    "jsx": "text/jsx",
    "jxl": "image/jxl",
    "m3u8": "application/vnd.apple.mpegurl",
    "m4a": "audio/mp4",
    "m4v": "video/mp4",
    "map": "application/json",
    "md": "text/markdown",
    "mjs": "text/javascript",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpd": "application/dash+xml",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "ogv": "video/ogg",
    "opus": "audio/ogg",
    "otf": "font/otf",
    "pdf": "application/pdf",
    "png": "image/png",
    "py": "text/x-python",
    "qml": "text/plain",
    "rss": "application/rss+xml",
    "svg": "image/svg+xml",
    "tar": "application/x-tar",
    "tgz": "application/gzip",
    "toml": "application/toml",
    "ts": "text/typescript",
    "tsx": "text/tsx",
    "ttf": "font/ttf",
    "txt": "text/plain",
    "vtt": "text/vtt",
    "wasm": "application/wasm",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webmanifest": "application/manifest+json",
    "webp": "image/webp",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "xhtml": "application/xhtml+xml",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "zip": "application/zip",
    "zst": "application/zstd",
    # Source and configuration, to be read in the browser instead of saved.
    **dict.fromkeys(
        (
            "bat",
            "c",
            "cfg",
            "conf",
            "cpp",
            "diff",
            "go",
            "h",
            "hpp",
            "ini",
            "java",
            "kt",
            "log",
            "lua",
            "patch",
            "rs",
        ),
        "text/plain",
    ),
    **dict.fromkeys(("rst", "sh", "sql", "tex"), "text/plain"),
}


@lru_cache(maxsize=512)
def _by_extension(extension: str) -> str:
    known = _TYPES.get(extension)
    if known is None:
        match = QMimeDatabase.MatchMode.MatchExtension
        known = QMimeDatabase().mimeTypeForFile(f"file.{extension}", match).name()
    return f"{known}; charset=utf-8" if known.startswith("text/") else known


def content_type(name: str) -> str:
    """Return the content type of a file called *name*, told by its extension alone.

    Text types say ``charset=utf-8``; what nobody knows is ``application/octet-stream``.
    """
    _, dot, extension = name.rpartition(".")
    return _by_extension(extension.lower()) if dot and extension else "application/octet-stream"
