"""What pip is configured with here, as one file; with --paths: the directories that it names."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit


def main() -> None:
    """Print it."""
    found = _configured()
    if "--paths" in sys.argv[1:]:
        print(*_paths(found), sep="\n")
        return
    print("[global]")
    for name, value in found.items():
        print(f"{name} = {value}")


def _configured() -> dict[str, str]:
    """Return every setting, the environment's over the files'."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    pairs = sorted((line.partition("=") for line in lines), key=_strength)
    return {key.rpartition(".")[2]: ast.literal_eval(value) for key, _, value in pairs}


def _strength(pair: tuple[str, str, str]) -> int:
    return pair[0].startswith((":env:", "install."))


def _paths(found: dict[str, str]) -> list[str]:
    """Return the directories that the values name, an index with what its pages link to beside."""
    words = [word for value in found.values() for word in value.split()]
    plain = [Path(word) for word in words if word.startswith("/")]
    indexes = [Path(urlsplit(word).path).parent for word in words if word.startswith("file://")]
    folders = [path if path.is_dir() else path.parent for path in plain if path.exists()]
    return sorted({str(path) for path in (*folders, *indexes) if path.is_dir()})


if __name__ == "__main__":
    main()
