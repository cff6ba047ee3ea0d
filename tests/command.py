"""The `condstore` command as a user runs it: in a shell, through a pipe or at a terminal.

Where a process of its own would show nothing more, the command runs in this one, which is ten times
as quick: with its own streams, environment and folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Any
from unittest import mock

import servers

from condstore import cli

if TYPE_CHECKING:
    from pathlib import Path

_WITHIN = 60.0
_PLAIN = re.compile(r"condstore [^|<>$;&`*~]*")  # a line that needs no shell
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
        out, err = _stream(), _stream()
        status = self._here(words, _stream(stdin), out, err)
        assert status == expect, (words, status, _text(out), _text(err))
        return _text(out) if expect == 0 else _text(out) + _text(err)

    def _here(
        self,
        words: tuple[str, ...],
        stdin: io.TextIOWrapper,
        out: io.TextIOWrapper,
        err: io.TextIOWrapper,
    ) -> int:
        """Run it in this process; return its exit status."""
        with (
            contextlib.chdir(self.folder),
            mock.patch.dict(os.environ, self.environ, clear=True),
            mock.patch.multiple(sys, argv=["condstore", *words], stdin=stdin, excepthook=None),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                cli.main()
            except SystemExit as ended:
                return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        return 0

    def json(self, *words: str, expect: int = 0, stdin: str = "") -> Any:
        """Run it with --json."""
        said = self(*words, "--json", expect=expect, stdin=stdin)
        return json.loads(said)

    def shell(self, line: str) -> tuple[int, str]:
        """Run a line as a shell does; return its exit status and all it printed."""
        if _PLAIN.fullmatch(line):
            both = _stream()
            _, *words = shlex.split(line)
            return self._here(tuple(words), _stream(), both, both), _text(both)
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
            # Ctrl-C reaches it, also where these tests run in the background, which ignores it.
            ["setsid", "--ctty", "--wait", "env", "--default-signal=INT", "bash", "-c", line],
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


def _stream(content: str = "") -> io.TextIOWrapper:
    """Return what stands for a pipe."""
    return io.TextIOWrapper(io.BytesIO(content.encode()), "utf-8", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    """Return all that was written."""
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


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
