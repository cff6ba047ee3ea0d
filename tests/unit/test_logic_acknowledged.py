"""The number that the workers of a pod share, in processes of their own."""

from __future__ import annotations

import subprocess
import sys

from datastore_logic.view.acknowledged import Acknowledged

NOTE = """
import sys
from pathlib import Path
from datastore_logic.view.acknowledged import Acknowledged
shared = Acknowledged(Path(sys.argv[1]))
for lsn in map(int, sys.argv[2:]):
    shared.note(lsn)
print(shared.newest(), flush=True)
sys.stdin.read()
"""


def noting(path, *lsns):
    """Start a process that notes LSNs, says the newest it knows, and lives on."""
    command = [sys.executable, "-c", NOTE, str(path), *map(str, lsns)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_every_process_sees_the_newest_of_all(tmp_path):
    """An older number noted later hides no newer one, of whichever process."""
    path = tmp_path / "acknowledged"
    mine = Acknowledged(path)
    mine.note(7)
    with noting(path, 12, 5) as one, noting(path, 3) as other:
        assert one.stdout.readline() == "12\n"
        assert other.stdout.readline() in {"7\n", "12\n"}
        mine.note(9)
        assert mine.newest() == 12
        one.stdin.close()
        other.stdin.close()
    mine.note(13)
    assert mine.newest() == 13
    mine.forget()
    assert mine.newest() == 0
