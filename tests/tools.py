"""The programs that `make setup` puts into .tools/bin: kustomize, promtool, nginx."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_TOOLS = Path(__file__).parents[1] / ".tools"


def tool(program: str) -> Path:
    """Return where a program is; without it the test fails, saying why it could not be had.

    Whoever cannot have it says so by WITHOUT_TOOLS=1, and the test is skipped: never unasked, for
    a check that nobody runs holds nothing.
    """
    path = _TOOLS / "bin" / program
    if path.exists():
        return path
    told = _TOOLS / "missing" / program
    reason = told.read_text().strip() if told.exists() else f"no {program}: run `make setup`"
    if os.environ.get("WITHOUT_TOOLS") == "1":
        pytest.skip(reason)
    pytest.fail(reason, pytrace=False)
