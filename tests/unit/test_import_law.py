"""The import law: the packages meet only over HTTP, and the domain reaches nothing outside."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "databuffer": ROOT / "databuffer",
    "datastore_logic": ROOT / "datastore_logic",
    "condstore": ROOT / "client" / "condstore",
}
PURE = {
    *("__future__", "bisect", "collections", "dataclasses", "decimal", "enum", "fractions"),
    *("functools", "hashlib", "itertools", "json", "math", "operator", "re", "types", "typing"),
}
LAYERS = ["serving", "domain", "access", "view", "services", "web"]


def imports(path: Path) -> set[str]:
    """Return the dotted names that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where a name comes from"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files(folder: Path) -> list[Path]:
    """Return the Python files below a folder, which must not be empty."""
    found = sorted(folder.rglob("*.py"))
    assert found
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_never_import_each_other(package):
    """No package names another: each can be installed and replaced alone."""
    others = set(PACKAGES) - {package}
    for path in files(PACKAGES[package]):
        assert not {name for name in imports(path) if name.split(".")[0] in others}, path


def test_the_domain_is_pure():
    """The domain imports itself and the pure parts of the standard library, nothing else."""
    assert set(sys.stdlib_module_names) >= PURE
    for path in files(PACKAGES["datastore_logic"] / "domain"):
        for name in imports(path):
            assert name.startswith("datastore_logic.domain") or name.split(".")[0] in PURE, path


@pytest.mark.parametrize("layer", LAYERS)
def test_the_layers_of_the_logic_tier_run_one_way(layer):
    """A lower layer never imports a higher one: serving < domain < access < … < services < web."""
    above = LAYERS[LAYERS.index(layer) + 1 :]
    for path in files(PACKAGES["datastore_logic"] / layer):
        for name in imports(path):
            assert not name.startswith(tuple(f"datastore_logic.{upper}" for upper in above)), path


def test_the_stores_of_the_databuffer_know_no_http():
    """Storage is below the web layer and imports no framework."""
    for path in files(PACKAGES["databuffer"] / "store"):
        for name in imports(path):
            assert not name.startswith(("databuffer.web", "databuffer.app", "aiohttp")), path
