"""The import law: packages meet only over HTTP, layers run one way, the domain is pure."""

import ast
import sys
from graphlib import TopologicalSorter
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
LAYERS = {
    "databuffer": ["access", "store", "buffer", "health", "web", "app", "serving", "__main__"],
    "datastore_logic": [
        "serving",
        "domain",
        "access",
        "databuffer",
        "view",
        "services",
        "web",
        "app",
    ],
    "condstore": ["results", "backup", "client", "commands", "cli"],
}
"""The parts of each package, a folder or a module each, from the lowest to the highest."""


def imports(path: Path) -> set[str]:
    """Return the dotted names that a file imports."""
    return imports_of(ast.parse(path.read_text()), path)


def imports_of(tree: ast.AST, path: Path) -> set[str]:
    """Return the dotted names that a syntax tree imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
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


@pytest.mark.parametrize(
    ("package", "layer"), [(package, layer) for package in LAYERS for layer in LAYERS[package]]
)
def test_the_layers_of_a_package_run_one_way(package, layer):
    """A lower layer never imports a higher one, not even to say what type something is."""
    above = LAYERS[package][LAYERS[package].index(layer) + 1 :]
    folder = PACKAGES[package] / layer
    for path in files(folder) if folder.is_dir() else [folder.with_suffix(".py")]:
        for name in imports(path):
            assert name.split(".")[:2] not in [[package, upper] for upper in above], path


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_each_other_in_a_circle(package):
    """The modules of a package can be put in an order in which each needs only those before it."""
    root = PACKAGES[package]
    modules = {module_name(package, path.relative_to(root)): path for path in files(root)}
    needs = {name: imported(path, modules) - {name} for name, path in modules.items()}
    order = list(TopologicalSorter(needs).static_order())
    assert sorted(order) == sorted(modules)
    assert any(needs.values())


def module_name(package: str, path: Path) -> str:
    """Return the dotted name of a module, of the package itself for `__init__.py`."""
    parts = (package, *path.with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path, modules: dict[str, Path]) -> set[str]:
    """Return the modules that one needs when it is loaded or run, types left out."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    found = imports_of(tree, path)
    return {name if name in modules else name.rpartition(".")[0] for name in found} & {*modules}


def test_the_stores_of_the_databuffer_know_no_http():
    """Storage imports no framework: what is counted or traced of it, it tells a protocol."""
    for path in files(PACKAGES["databuffer"] / "store"):
        for name in imports(path):
            assert not name.startswith(("aiohttp", "prometheus_client", "opentelemetry")), path
