"""The reference, made from the docstrings: Qt's counterpart of each member, and tables of who has what.

Docstrings end with ``Qt: Class::member.`` or ``Not in Qt.``; the former becomes a link to Qt's page.
``.. qtmatrix:: Class`` makes the table of a class; what the wheel has is read from its stub.
"""

import ast
import importlib
import importlib.util
import inspect
import re
from enum import Enum
from pathlib import Path

import PySide6
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

COUNTERPART = re.compile(r"(?:^|(?<=\s))Qt: ((?:\w+)(?:::\w+)?)([^\n]*?)\s*$", re.DOTALL)
NOT_IN_QT = re.compile(r"(?:^|(?<=\s))Not in Qt\.\s*$")

# What the wheel's stub promises, or its meta-object shows, and what it does not keep.
BROKEN = {
    "QAbstractHttpServer.__init__": "cannot be subclassed",
    "QAbstractHttpServer.handleRequest": "cannot be overridden",
    "QAbstractHttpServer.missingHandler": "cannot be overridden",
    "QAbstractHttpServer.newWebSocketConnection": "never emitted",
    "QHttpServer.__init__": "cannot be subclassed",
    "QHttpServer.route": "1 of 4 forms; no path arguments; keeps no reference to the callable",
    "QHttpServer.addAfterRequestHandler": "keeps no reference to the callable",
    "QHttpServer.handleRequest": "cannot be called or overridden",
    "QHttpServer.missingHandler": "cannot be called or overridden",
    "QHttpServerRequest.__init__": "a default-constructed one crashes",
    "QHttpServerResponse.__init__": "not all forms",
    "QHttpServerRouter.handleRequest": "cannot be called",
    "QHttpServerRouter.addConverter": "fails for QMetaType.Type",
}
# Classes that never reach a Python program from the wheel, or carry nothing.
UNREACHABLE = {
    "QHttpServerResponder": "no handler gets one",
    "QHttpServerRouterRule": "cannot be made",
    "QHttpServerWebSocketUpgradeResponse": "nobody asks for it",
    "QFutureHttpServerResponse": "carries no result",
}


def _stub_members():
    """Return {class: names of its members} of PySide6/QtHttpServer.pyi, or None where it is not installed."""
    spec = importlib.util.find_spec("PySide6")
    path = Path(next(iter(spec.submodule_search_locations))) / "QtHttpServer.pyi"
    if not path.is_file():
        return None
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = {inner.name for inner in node.body if isinstance(inner, ast.FunctionDef | ast.ClassDef)}
    return found


def _own_members(cls):
    """Return (name, docstring) of the public members, second names and what has a table of its own left out."""
    init = cls.__init__.__doc__ or ""
    found = {"__init__": init if _is_marked(init) else cls.__doc__ or ""}
    documented = importlib.import_module("qhttpserver_py").__all__
    above = next((base.__mro__ for base in cls.__mro__[1:] if base.__name__ in documented), ())
    for base in reversed(cls.__mro__):
        if not base.__module__.startswith("qhttpserver_py") or base in above:
            continue
        for name, value in vars(base).items():
            if name.startswith("_") or type(value).__name__ == "_SecondName":
                continue
            found[name] = inspect.getdoc(getattr(cls, name)) or ""
            if _is_signal(value):
                found[name] = f"Qt: {base.__name__}::{name}."
    return [(name, doc) for name, doc in found.items() if _is_marked(doc)]


class QtMatrix(SphinxDirective):
    """``.. qtmatrix:: Class``"""

    required_arguments = 1

    def run(self):
        name = self.arguments[0]
        cls = getattr(importlib.import_module("qhttpserver_py"), name)
        stub = _stub_members()
        rows = [["member", "Qt 6.12, C++", f"the wheel, {PySide6.__version__}", "ours"]]
        for member, doc in _own_members(cls):
            in_qt = not NOT_IN_QT.search(doc or "")
            rows.append(
                [
                    name if member == "__init__" else member,
                    "yes"
                    if in_qt and name != "QFutureHttpServerResponse"
                    else "not in Qt"
                    if not in_qt
                    else "of QFuture",
                    self._wheel(stub, cls, member),
                    "yes",
                ]
            )
        return [_table(rows)]

    @staticmethod
    def _wheel(stub, cls, member):
        if stub is None:
            return "not installed here"
        owners = [base.__name__ for base in cls.__mro__]
        broken = [BROKEN[f"{owner}.{member}"] for owner in owners if f"{owner}.{member}" in BROKEN]
        if broken:
            return broken[0]
        if not any(member in stub.get(owner, ()) for owner in owners):
            return "no"
        return UNREACHABLE.get(cls.__name__, "yes")


def _table(rows):
    table = nodes.table(classes=["matrix"])
    group = nodes.tgroup(cols=len(rows[0]))
    table += group
    for _ in rows[0]:
        group += nodes.colspec(colwidth=1)
    head, body = nodes.thead(), nodes.tbody()
    group += [head, body]
    for number, row in enumerate(rows):
        line = nodes.row()
        for column, text in enumerate(row):
            entry = nodes.entry()
            entry += nodes.paragraph("", "", nodes.literal(text=text) if number and not column else nodes.Text(text))
            line += entry
        (body if number else head).append(line)
    return table


def show_counterpart(_app, what, _name, obj, _options, lines):
    """Turn the last line of a docstring into a link, or into a mark; name the members of enumerations."""
    text = "\n".join(lines).rstrip()
    found = COUNTERPART.search(text)
    if found:
        page, _, member = found[1].partition("::")
        link = f"`{found[1]} <https://doc.qt.io/qt-6/{page.lower()}.html{'#' if member else ''}{member}>`__"
        note = re.sub(r"\s+", " ", found[2].strip())
        text = f"{text[: found.start()].rstrip()}\n\n*Qt:* {link}{' ' * (note[:1] == '(')}{note}"
    else:
        text = NOT_IN_QT.sub("\n\n*Not in Qt.*", text)
    if what == "class" and issubclass(obj, Enum):
        text += "\n\n" + ", ".join(f"``{member}``" for member in obj.__members__) + "."
    lines[:] = text.split("\n")


def skip_unmarked(_app, what, name, obj, skip, _options):
    """Leave out second names, since each member is listed once under Qt's, and methods between our own classes."""
    if "_" in name.strip("_") and getattr(obj, "__name__", name) != name:
        return True
    if what == "class" and inspect.isroutine(obj) and not _is_signal(obj) and not _is_marked(inspect.getdoc(obj) or ""):
        return True
    return skip


def _is_signal(obj):
    return type(obj).__name__ == "Signal"


def _is_marked(doc):
    return bool(COUNTERPART.search(doc) or NOT_IN_QT.search(doc))


def setup(app):
    """Called by Sphinx."""
    app.add_directive("qtmatrix", QtMatrix)
    app.connect("autodoc-process-docstring", show_counterpart)
    app.connect("autodoc-skip-member", skip_unmarked)
    return {"parallel_read_safe": True}
