"""Bodies of HTML forms: the first octet cuts them, the first line is their content type."""

from __future__ import annotations

import re
from collections.abc import Iterable
from time import process_time

from qhttpserver_py.forms import FormError, FormLimits
from qhttpserver_py.forms.parsing import Parser, make_parser

LIMITS = FormLimits(parts=20, files=5, header_size=200, field_size=300, fields_size=1000, file_size=500, spool=64)
"""Limits that random input reaches; files are kept on disk, too."""

MOST_SECONDS = 0.5
"""Of processor time for 2 000 octets."""

_BARE_LF = re.compile(rb"(?<!\r)\n")

Outcome = tuple[list[tuple[str, str]], list[tuple[str, str, str, bytes]]] | int


def forms(octets: bytes) -> None:
    """Nothing but FormError is raised; cutting changes nothing; limits hold; no value is what cannot be text."""
    step = octets[0] if octets else 0
    content_type, _, body = octets[1:].partition(b"\n")
    began = process_time()
    whole = parsed(content_type, [body])
    assert process_time() - began < MOST_SECONDS
    cut = [body[start : start + step] for start in range(0, len(body), step)] if step else [body]
    again = parsed(content_type, cut)
    if isinstance(again, int) and _BARE_LF.search(body):  # around a field's name the library takes it, if all is there
        whole = again
    if isinstance(whole, int):
        assert whole in (400, 413, 415)
        assert isinstance(again, int)  # a limit may be met before a fault behind it, or after
        return
    assert again == whole
    fields, files = whole
    assert len(fields) + len(files) <= LIMITS.parts
    assert len(files) <= LIMITS.files
    assert all(len(content) <= LIMITS.file_size for *_, content in files)
    assert sum(len(value) for _, value in fields) <= LIMITS.fields_size
    for name, value in fields:
        (name + value).encode()  # a lone surrogate is no text


def parsed(content_type: bytes, pieces: Iterable[bytes]) -> Outcome:
    """Return the fields and files of a form, or the status it is refused with."""
    try:
        parser = make_parser(content_type.decode("latin-1"), LIMITS, None)
    except FormError as error:
        return error.status
    try:
        return _taken(parser, pieces)
    except FormError as error:
        return error.status
    finally:
        for file in parser.files:
            file.close()


def _taken(parser: Parser, pieces: Iterable[bytes]) -> Outcome:
    for piece in pieces:
        parser.feed(piece)
    parser.finish()
    files = [(file.name, file.filename, file.content_type, file.read()) for file in parser.files]
    return parser.fields, files


def _part(fields: bytes, content: bytes) -> bytes:
    return b"--b\r\nContent-Disposition: form-data; " + fields + b"\r\n\r\n" + content + b"\r\n"


_FORM = b"multipart/form-data; boundary=b\n"
_CHARSETS = (b"punycode", b"undefined", b"idna", b"unicode_escape", b"utf-16", b"utf-7", b"rot13", b"a\0b", b"gbk")
_TEXT = b'name="a"\r\nContent-Type: text/plain; charset='
_BODIES = [
    b"application/x-www-form-urlencoded\na=1&b=%C3%A9&&c=+%zz&a=%ff",
    b"application/x-www-form-urlencoded; charset=utf-16\n" + b"&" * 500,
    b"application/x-www-form-urlencoded\n" + b"a=b&" * 25,
    _FORM + _part(b'name="a"', b"1") + _part(b'name="f"; filename="x.txt"', b"file" * 40) + b"--b--\r\n",
    _FORM + _part(b'name=a; filename="\\"..%22/x"; filename*=utf-8\'\'%e2%82', b"") + b"--b--",
    _FORM + b"preamble\r\n" + _part(b'name="a"\r\nContent-Transfer-Encoding: base64', b"YQ==") + b"--b--\r\nepilogue",
    *(_FORM + _part(_TEXT + name, b"x-\\ud800") + b"--b--" for name in _CHARSETS),
    b"multipart/form-data; boundary=" + b"b" * 71 + b"\n--b--",
    b"multipart/form-data\n--b--",
    b"text/plain\nabc",
]
SEEDS = [bytes((step,)) + seed for seed in _BODIES for step in (0, 1, 7)]
