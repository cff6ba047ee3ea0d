"""The fuzzer as a program: `fuzzer.py FOLDER LAW[,LAW…] [options of libFuzzer]`.

It is a process of its own, for the packages under test are instrumented as they are imported; each
law then has a child, which ends when the time is up or the law does not hold. What was found is
`FOLDER/found/<law>-crash-…`; inputs that led somewhere new are kept in `FOLDER/<law>/`. Exit status
1 if a law does not hold.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["databuffer", "datastore_logic", "condstore", "fuzz"]):
    from fuzz.every import LAWS

MEMORY = Path("/dev/shm")  # noqa: S108 - laws that need files make thousands a second


def main(folder: str, names: str, *options: str) -> int:
    """Fuzz one law after the other; return the exit status."""
    (Path(folder) / "found").mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(MEMORY) if MEMORY.is_dir() else None
    return max(in_a_child(Path(folder), name, options) for name in names.split(","))


def in_a_child(folder: Path, name: str, options: tuple[str, ...]) -> int:
    """Fuzz one law; return 1 if it does not hold."""
    print(f"\n=== {name}", file=sys.stderr, flush=True)
    child = os.fork()
    if not child:
        fuzz(folder, name, options)
    _, status = os.waitpid(child, 0)
    return int(status != 0)


def fuzz(folder: Path, name: str, options: tuple[str, ...]) -> None:
    """Fuzz until the time is up or the law does not hold, then end the process."""
    law, corpus = LAWS[name], folder / name
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(law.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = folder / f"{name}.words"
    words.write_text("".join(f'"{escaped(word)}"\n' for word in (*law.words, b"\xff")))
    told = [f"-dict={words}", f"-artifact_prefix={folder}/found/{name}-", *options, str(corpus)]
    atheris.Setup([sys.argv[0], *told], law.check)
    atheris.Fuzz()


def escaped(word: bytes) -> str:
    """Return a word as libFuzzer's dictionaries have it."""
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
