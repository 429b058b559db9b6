"""The import rules of docs/explanation/architecture.md, read from its table and checked by ast."""

import ast
import fnmatch
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "qhttpserver_py"
TABLE = ROOT / "docs" / "explanation" / "architecture.md"

FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = [path for path in FILES if path.name != "__init__.py"]
MAXIMUM_LINES = 400

# Doors upward, each opened inside a function by the first who needs it, so that nobody else pays.
DOORS = {
    ("qhttpserverresponder.py", "_streams.py"): "write(QIODevice)",
}

SOCKETS = re.compile(r"Q(Abstract|Tcp|Ssl|Local|Udp)(Socket|Server)|QNetworkAccessManager")
PURE = {"httptools", "h2", "hpack", "hyperframe"} | sys.stdlib_module_names
QT = {"PySide6.QtCore", "PySide6.QtNetwork"}


def relative(path):
    return path.relative_to(PACKAGE).as_posix()


def read_table(text):
    """Return the file patterns of each layer."""
    layers = {}
    for number, files in re.findall(r"^\| (\d) · [^|]*\|([^|]*)\|", text, re.MULTILINE):
        names = re.findall(r"`([^`]+)`", files)
        layers[int(number)] = [name for name in names if name.endswith((".py", "/*"))]
    return layers


MODULE_NAMES = [relative(path) for path in MODULES]
LAYERS = read_table(TABLE.read_text(encoding="utf-8"))


def layer_of(name):
    """Return the layer of a file: that which names it, else that with a pattern for it."""
    for layer, patterns in LAYERS.items():
        if name in patterns:
            return layer
    return next((layer for layer, patterns in LAYERS.items() for p in patterns if fnmatch.fnmatch(name, p)), None)


class Imports(ast.NodeVisitor):
    """Collects (line, dotted name, whether inside a function); what only annotations need is left out."""

    def __init__(self, path):
        self.found = []
        self._folder = path.relative_to(ROOT).parent.parts
        self._depth = 0
        self.visit(ast.parse(path.read_text(encoding="utf-8")))

    def visit_If(self, node):
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self.generic_visit(node)

    def visit_FunctionDef(self, node):
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1

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
        self.found += [(node.lineno, name, self._depth > 0) for name in names]


def own_file(name):
    """Return the file of this package that a dotted name leads to, or None."""
    parts = name.split(".")
    if parts[0] != "qhttpserver_py":
        return None
    for end in (len(parts), len(parts) - 1):
        path = ROOT.joinpath(*parts[:end]).with_suffix(".py")
        if path.is_file():
            return relative(path)
    return None


IMPORTS = {relative(path): Imports(path).found for path in FILES}


def test_the_table_was_read():
    assert sorted(LAYERS) == [0, 1, 2, 3, 4]
    assert layer_of("qhttpserver.py") == 3
    assert layer_of("qhttpserverrequest.py") == 1


@pytest.mark.parametrize("name", MODULE_NAMES)
def test_every_file_has_a_layer(name):
    assert layer_of(name) is not None, f"name {name} in the table of {TABLE.relative_to(ROOT)}"


@pytest.mark.parametrize("name", [name for names in LAYERS.values() for name in names])
def test_the_table_names_what_exists(name):
    assert any(fnmatch.fnmatch(relative(path), name) for path in FILES)


@pytest.mark.parametrize("name", MODULE_NAMES)
def test_no_import_goes_up(name):
    mine = layer_of(name)
    for line, target, lazy in IMPORTS[name]:
        file = own_file(target)
        if file is None or (lazy and (name, file) in DOORS):
            continue
        assert layer_of(file) <= mine, f"{name}:{line} (layer {mine}) imports {file} (layer {layer_of(file)})"


@pytest.mark.parametrize(("name", "target"), DOORS)
def test_the_doors_upward_are_used(name, target):
    assert any(own_file(imported) == target for _, imported, _ in IMPORTS[name])


@pytest.mark.parametrize("name", list(IMPORTS))
def test_only_what_a_layer_may_use(name):
    mine = layer_of(name)
    for line, target, lazy in IMPORTS[name]:
        where = f"{name}:{line}: {target}"
        top = target.split(".")[0]
        module = ".".join(target.split(".")[:2])
        assert module != "PySide6.QtHttpServer", f"{where}: it is what we stand in for"
        if top == "PySide6" and name != "__init__.py":
            assert mine > 0, f"{where}: layer 0 knows no Qt"
            assert module in QT or lazy, f"{where}: load it where it is needed"
        elif mine == 0 and top != "qhttpserver_py":
            assert top in PURE, f"{where}: layer 0 is the standard library, httptools and h2"
        if mine in (0, 1):
            assert not SOCKETS.search(target), f"{where}: sockets begin at layer 2"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_files_stay_readable(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAXIMUM_LINES, f"{relative(path)} has {lines} lines: split it by concept"


# -- what is loaded, seen from outside


def run(program, *arguments):
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


SHOW_QT = "import sys, json; print(json.dumps([m for m in sys.modules if m.split('.')[0] == 'PySide6']))"


def test_the_package_alone_loads_no_qt():
    assert run(f"import qhttpserver_py; {SHOW_QT}") == []


def test_the_pytest_plugin_loads_no_qt():
    pytest.importorskip("qhttpserver_py.pytest_plugin")
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


def test_each_module_imports_alone():
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES if path.name != "__main__.py"]
    assert run(IMPORT_EACH, *names) == {}
