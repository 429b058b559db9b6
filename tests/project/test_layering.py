"""The order of folders, from one table, checked against every import of the package.

Imports inside functions and those that only annotations need count like any other.
"""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "qhttpserver_py"
TABLE = ROOT / "docs" / "explanation" / "architecture.md"
FILES = sorted(PACKAGE.rglob("*.py"))
MAXIMUM_LINES = 400
MAXIMUM_MODULES = 24  # in one folder

SOCKETS = re.compile(r"Q(Abstract|Tcp|Ssl|Local|Udp)(Socket|Server)|QNetworkAccessManager")
PURE = {"httptools", "h2", "hpack", "hyperframe"} | sys.stdlib_module_names
PURE_FOLDERS = ("_protocol/",)
QT = {"PySide6.QtCore", "PySide6.QtNetwork"}
QT_OF = {"qml.py": {"PySide6.QtQml"}}
"""What else a file that only its users import is made of."""


def relative(path):
    return path.relative_to(PACKAGE).as_posix()


def read_table(text):
    """Return the rows of the table of folders, lowest first: each a list of files and folders."""
    rows = re.findall(r"^\| (\d+) \|([^|]*)\|", text, re.MULTILINE)
    return [re.findall(r"`([^`]+)`", names) for _, names in rows]


ROWS = read_table(TABLE.read_text(encoding="utf-8"))


def row_of(name):
    """Return the number of the row that names a file, or the folder it is in."""
    for number, names in enumerate(ROWS):
        if any(name == entry or (entry.endswith("/") and name.startswith(entry)) for entry in names):
            return number
    return None


class Imports(ast.NodeVisitor):
    """Collects (line, dotted name, whether it is loaded with the module) of every import."""

    def __init__(self, path):
        self.found = []
        self._folder = path.relative_to(ROOT).parent.parts
        self._later = 0
        self.visit(ast.parse(path.read_text(encoding="utf-8")))

    def visit_If(self, node):
        later = ast.unparse(node.test) == "TYPE_CHECKING"
        self._later += later
        self.generic_visit(node)
        self._later -= later

    def visit_FunctionDef(self, node):
        self._later += 1
        self.generic_visit(node)
        self._later -= 1

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Import(self, node):
        self._add(node, [alias.name for alias in node.names])

    def visit_ImportFrom(self, node):
        module = node.module or ""
        if node.level:
            base = self._folder[: len(self._folder) - node.level + 1]
            module = ".".join([*base, module] if module else base)
        self._add(node, [f"{module}.{alias.name}" for alias in node.names])

    def _add(self, node, names):
        self.found += [(node.lineno, name, self._later == 0) for name in names]


def own_file(name):
    """Return the file of this package that a dotted name leads to, or None."""
    parts = name.split(".")
    if parts[0] != "qhttpserver_py":
        return None
    for end in (len(parts), len(parts) - 1):
        path = ROOT.joinpath(*parts[:end])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return relative(file)
    return None


IMPORTS = {relative(path): Imports(path).found for path in FILES}
NAMES = list(IMPORTS)


def test_the_table_was_read():
    assert ROWS[0] == ["_protocol/"]
    assert row_of("qhttpserver.py") > row_of("_transport/connection.py") > row_of("qhttpserverrequest.py")


@pytest.mark.parametrize("name", NAMES)
def test_every_file_has_a_row(name):
    assert row_of(name) is not None, f"name {name} in the table of {TABLE.relative_to(ROOT)}"


@pytest.mark.parametrize("entry", [entry for names in ROWS for entry in names])
def test_the_table_names_what_exists(entry):
    assert (PACKAGE / entry).exists()


@pytest.mark.parametrize("name", NAMES)
def test_no_import_goes_up(name):
    mine = row_of(name)
    for line, target, _ in IMPORTS[name]:
        file = own_file(target)
        if file is None or file == "__init__.py":
            continue
        assert row_of(file) <= mine, f"{name}:{line} (row {mine}) imports {file} (row {row_of(file)})"


def test_there_is_no_circle():
    graph = {name: {own_file(target) for _, target, _ in found} - {None, name} for name, found in IMPORTS.items()}
    graph["__init__.py"] = set()  # the public names, loaded at first use
    done, path = set(), []

    def visit(name):
        assert name not in path, f"a circle: {' -> '.join([*path[path.index(name) :], name])}"
        if name not in done:
            path.append(name)
            for target in sorted(graph[name]):
                visit(target)
            path.pop()
            done.add(name)

    for name in graph:
        visit(name)


@pytest.mark.parametrize("name", NAMES)
def test_only_what_a_folder_may_use(name):
    pure = name.startswith(PURE_FOLDERS)
    for line, target, at_once in IMPORTS[name]:
        where = f"{name}:{line}: {target}"
        top = target.split(".")[0]
        module = ".".join(target.split(".")[:2])
        assert module != "PySide6.QtHttpServer", f"{where}: it is what we stand in for"
        if top == "PySide6" and name != "__init__.py":
            assert not pure, f"{where}: this folder knows no Qt"
            assert module in QT | QT_OF.get(name, set()) or not at_once, f"{where}: load it where it is needed"
        elif pure and top != "qhttpserver_py":
            assert top in PURE, f"{where}: this folder is the standard library, httptools and h2"
        if row_of(name) < row_of("_exchange/exchange.py"):
            assert not SOCKETS.search(target), f"{where}: sockets begin in _exchange/"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_files_stay_readable(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAXIMUM_LINES, f"{relative(path)} has {lines} lines: split it by concept"


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES}), ids=lambda path: path.name)
def test_folders_stay_readable(folder):
    modules = len(list(folder.glob("*.py")))
    assert modules <= MAXIMUM_MODULES, f"{folder.name}/ has {modules} modules: make a folder of some"


# -- what is loaded, seen from outside


def run(program, *arguments):
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


SHOW_QT = "import sys, json; print(json.dumps([m for m in sys.modules if m.split('.')[0] == 'PySide6']))"


def test_the_package_alone_loads_no_qt():
    assert run(f"import qhttpserver_py; {SHOW_QT}") == []


def test_the_pytest_plugin_loads_no_qt():
    assert run(f"import qhttpserver_py.pytest_plugin; {SHOW_QT}") == []


def test_the_classes_load_only_core_and_network():
    loaded = run(f"from qhttpserver_py import *; {SHOW_QT}")
    assert {name for name in loaded if name.startswith("PySide6.Qt")} == QT


# Every time from nothing: an import that works only after another one would fail here.
IMPORT_EACH = """
import importlib, json, sys, traceback
failed = {}
for name in sys.argv[1:]:
    for loaded in [m for m in sys.modules if m.split(".")[0] == "qhttpserver_py"]:
        del sys.modules[loaded]
    try:
        importlib.import_module(name)
    except BaseException:
        failed[name] = traceback.format_exc()
print(json.dumps(failed))
"""


@pytest.mark.timeout(240)  # two hundred modules, each from nothing
def test_each_module_imports_alone():
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES if not path.name.startswith("__")]
    assert run(IMPORT_EACH, *names) == {}
