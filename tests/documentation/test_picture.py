"""The picture of the architecture is that of the imports as they stand."""

from __future__ import annotations

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "docs" / "_ext" / "architecture_picture.py"


def test_the_picture_is_current() -> None:
    specification = importlib.util.spec_from_file_location("architecture_picture", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    assert module.PICTURE.read_text("utf-8") == module.picture(), "run python docs/_ext/architecture_picture.py"
