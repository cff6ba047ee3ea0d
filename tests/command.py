"""The `condstore` command as a user runs it: in a shell, through a pipe or at a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING, Any

import servers

if TYPE_CHECKING:
    from pathlib import Path

_WITHIN = 60.0
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[=>])")


class Command:
    """The command, pointed at one pair of servers, run in `folder`."""

    def __init__(self, logic_url: str, buffer_url: str, folder: Path, **environ: str) -> None:
        self.folder = folder
        path = f"{servers.BIN}{os.pathsep}{os.environ['PATH']}"
        self.environ = {
            **os.environ,
            "PATH": path,
            "COLUMNS": "100",
            "USER": "alice",
            "CONDSTORE_URL": logic_url,
            "DB_BURL": buffer_url,
            **environ,
        }

    def __call__(self, *words: str, expect: int = 0, stdin: str = "") -> str:
        """Run it; return what it printed on standard output, and on standard error if it failed."""
        done = subprocess.run(
            [servers.BIN / "condstore", *words],
            env=self.environ,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_WITHIN,
            check=False,
        )
        assert done.returncode == expect, (words, done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stdout if expect == 0 else done.stdout + done.stderr

    def json(self, *words: str, expect: int = 0, stdin: str = "") -> Any:
        """Run it with --json."""
        said = self(*words, "--json", expect=expect, stdin=stdin)
        return json.loads(said)

    def shell(self, line: str) -> tuple[int, str]:
        """Run a line as a shell does; return its exit status and all it printed."""
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {line}"],
            env=self.environ,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_WITHIN,
            check=False,
        )
        return done.returncode, done.stdout

    def interrupted(self, line: str, after: re.Pattern[str]) -> tuple[int, str]:
        """Run a line, press Ctrl-C once it has printed what matches; return as `shell` does."""
        log = self.folder / ".interrupted.log"
        with (
            log.open("w") as out,
            subprocess.Popen(
                ["bash", "-c", f"exec {line}"] if "=" not in line else ["bash", "-c", line],
                env=self.environ,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process,
        ):
            try:
                servers.eventually(
                    lambda: after.search(log.read_text()) or process.poll() is not None, _WITHIN
                )
                assert after.search(log.read_text()), log.read_text()
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGINT)
            status = process.wait(_WITHIN)
        return status, log.read_text()

    def typed(
        self, line: str, *answers: str, prompt: str = "to go on: ", columns: int = 100
    ) -> tuple[int, str]:
        r"""Run a line at a terminal and type an answer at each prompt; return as `shell` does.

        An answer may be a control character: "\x03" is Ctrl-C, "\x04" the end of the input.
        """
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environ = {**self.environ, "TERM": "xterm-256color"}
        environ.pop("COLUMNS")
        with subprocess.Popen(
            ["setsid", "--ctty", "--wait", "bash", "-c", line],  # Ctrl-C reaches it
            env=environ,
            cwd=self.folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        ) as process:
            os.close(theirs)
            said = _conversation(ours, list(answers), prompt)
            os.close(ours)
            return process.wait(_WITHIN), said


def plain(text: str) -> str:
    """Return what was printed without colours and movements of the cursor."""
    return _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "")


def _conversation(terminal: int, answers: list[str], prompt: str) -> str:
    """Read until the other side closes, typing the next answer at each prompt."""
    said, answered, deadline = "", 0, time.monotonic() + _WITHIN
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1.0)[0]:
            continue
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the other side is closed: Linux says so by EIO
            return said
        if not piece:
            return said
        said += piece.decode()
        while answers and prompt in said[answered:]:
            answered = said.index(prompt, answered) + len(prompt)
            answer = answers.pop(0)
            os.write(terminal, (answer if "" < answer < " " else f"{answer}\n").encode())
    raise TimeoutError(said)
