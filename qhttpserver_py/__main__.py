"""``python -m qhttpserver_py``: the command line program."""

from __future__ import annotations

import sys

from qhttpserver_py.cli import main

if __name__ == "__main__":
    sys.exit(main())
