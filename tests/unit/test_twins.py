"""What both tiers have word for word: neither may import the other, and neither may drift.

Who mends one of these in one tier finds here that the other has it too.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TWINS = {
    "log_lines": ["Lines", "_is_full", "_unread", "_takes", "_told"],
    "logs": ["LogFormat", "Text.formatMessage", "Json", "_sound", "_uncaught_in_thread"],
    "loopback": ["is_loopback"],
    "probe": ["_asked", "_connection"],
    "tracing": ["Tracing.stop", "Tracing.answering", "Seldom", "finish"],
    "version": ["installed"],
}


@pytest.mark.parametrize(("module", "name"), [(m, name) for m in TWINS for name in TWINS[m]])
def test_both_tiers_have_the_same(module, name):
    """The same code, comments apart, under the same name."""
    ours, theirs = (defined(tier, module)[name] for tier in ("databuffer", "datastore_logic"))
    assert ours == theirs


def defined(tier: str, module: str) -> dict[str, str]:
    """Return the functions and classes of a module by name, those within a class as `A.b`."""
    found: dict[str, str] = {}
    for one in ast.parse((ROOT / tier / f"{module}.py").read_text()).body:
        if isinstance(one, ast.FunctionDef | ast.ClassDef):
            found[one.name] = ast.unparse(one)
            inner = one.body if isinstance(one, ast.ClassDef) else []
            methods = [each for each in inner if isinstance(each, ast.FunctionDef)]
            found |= {f"{one.name}.{each.name}": ast.unparse(each) for each in methods}
    return found
