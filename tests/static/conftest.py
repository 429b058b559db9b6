from __future__ import annotations

from pathlib import Path

import pytest

from qhttpserver_py.static import StaticFiles

from ..support.static_site import make_site


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return make_site(tmp_path)


@pytest.fixture
def files(site: Path) -> StaticFiles:
    return StaticFiles(site)
