"""The commands that a page of the documentation shows, and how what it shows is compared.

The blocks marked `console` are run from top to bottom as one shell would: `$ ` is a command, what
follows is its output. In an output `…` stands for anything in a line, and alone for any lines.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

END = "\x1e"
# What no two runs have in common: times, and what is computed over the names made of them.
VARIES = (
    (re.compile(r"\bgwb\d{19}\b"), "gwb…"),
    (re.compile(r"\b\d{8}T\d{6}Z\b"), "…"),
    (re.compile(r"(?<=fingerprint )[0-9a-f]{12}\b"), "…"),
    (re.compile(r"(?<=@)[0-9a-f]{64}\b"), "…"),
    (re.compile(r"(?<=^ledger )[0-9a-f]{8}\b", re.MULTILINE), "…"),
    (re.compile(r"^(\S+ +frozen .*)\b[0-9a-f]{12}$", re.MULTILINE), r"\1…"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a page, and what the page says it prints."""

    command: str
    output: str

    def agrees(self, said: str) -> bool:
        """Say whether a run printed what the page shows, but for what varies."""
        ended = said if said.endswith("\n") or not said else said + "\n"
        return pattern(levelled(self.output)).fullmatch(levelled(ended)) is not None


def pattern(output: str) -> re.Pattern[str]:
    """Return the expression for an output: `…` is anything in a line, alone any lines."""
    lines = [
        r"(?:.*\n)*?" if line == "…" else ".*?".join(map(re.escape, line.split("…"))) + r"\n"
        for line in output.splitlines()
    ]
    return re.compile("".join(lines))


def levelled(text: str) -> str:
    """Return an output without what varies."""
    for what, instead in VARIES:
        text = what.sub(instead, text)
    return text


def blocks(page: str, language: str) -> list[str]:
    """Return a page's blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def steps(page: str) -> list[Step]:
    """Return the commands of a page in order, each with its output."""
    found = []
    for block in blocks(page, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, output = _split(part)
            found.append(Step(command, output))
    return found


def _split(part: str) -> tuple[str, str]:
    r"""Split a command from its output; it goes on over a line that ends in \ or inside quotes.

    >>> _split("echo 'a\nb'\na\nb\n")
    ("echo 'a\nb'", 'a\nb\n')
    """
    lines = part.splitlines(keepends=True)
    for count in range(1, len(lines)):
        command = "".join(lines[:count])
        if not command.endswith("\\\n") and command.count("'") % 2 == 0:
            return command.rstrip("\n"), "".join(lines[count:])
    return part.rstrip("\n"), ""


def run(
    commands: list[str], folder: Path, environ: Mapping[str, str], within: float
) -> list[tuple[int, str]]:
    """Run commands in one shell; return the exit status of each and all it printed."""
    script = "".join(f"{{ {one}\n}} 2>&1; printf '%s{END}' $?\n" for one in commands)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
    )
    assert not done.stderr, done.stderr
    ended = [re.fullmatch(r"(.*?)(\d+)", one, re.DOTALL) for one in done.stdout.split(END)[:-1]]
    return [(int(one[2]), one[1]) for one in ended if one is not None]
