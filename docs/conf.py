"""How the documentation is built: ``sphinx-build -n -W -b html docs out``. Needs no network."""

import os
import sys
from importlib import import_module
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / "_ext"), str(Path(__file__).parents[1])]

project = "qhttpserver-py"
author = "the qhttpserver-py contributors"
project_copyright = author
version = release = import_module("qhttpserver_py").__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.intersphinx", "sphinx.ext.napoleon", "qtreference"]
exclude_patterns = ["_ext", "examples", "out", "_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "qhttpserver-py"
html_static_path = ["images"]

# Names of Qt for Python become links where its inventory can be read; without a network the build
# must neither wait nor fail, so it is asked for: DOCS_INTERSPHINX=1 sphinx-build ...
intersphinx_mapping = {}
if os.environ.get("DOCS_INTERSPHINX"):
    intersphinx_mapping["PySide6"] = ("https://doc.qt.io/qtforpython-6/", None)
    intersphinx_mapping["python"] = ("https://docs.python.org/3/", None)

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

# A name of ours that leads nowhere is a mistake. Names of Qt and Python lead somewhere with the
# inventories only, and ours that start with an underscore have no page.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!qhttpserver_py).*"),
    (r"py:.*", r"qhttpserver_py\.(.*\.)?_.*"),
    (r"py:class", r"qhttpserver_py\.(testing|forms|static|security|cli)\.[a-z_]+\..*"),  # rooms behind a public part
    (r"py:class", r"qhttpserver_py\..*\b(T|Handler|Decorator|RouteOptions|DrainSignal)"),  # of annotations only
]
