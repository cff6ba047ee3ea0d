"""The example of docs/digital-twin.md is run, and prints what the page says."""

import os
import re
import shutil
import subprocess

import pytest
from logic_pair import pair
from servers import BIN, ROOT

PAGE = ROOT / "docs" / "digital-twin.md"
COMMAND = re.compile(r"^\$ (.+)$")


def examples():
    """Return (command, the lines it prints) of every console block, in order."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if command := COMMAND.match(line):
                found.append((command[1], []))
            else:
                found[-1][1].append(line)
    return found


def agrees(told, printed):
    """Whether a printed line is the one on the page, where `…` stands for anything."""
    parts = (re.escape(part) for part in re.split("…", " ".join(told.split())))
    return re.fullmatch(".+".join(parts), " ".join(printed.split()))


@pytest.mark.skipif(shutil.which("curl") is None, reason="the scripts need curl")
def test_the_example_prints_what_the_page_says(tmp_path):
    """In a folder that looks like a clone, against two tiers with the page's threshold."""
    (tmp_path / "client").symlink_to(ROOT / "client")
    assert "MAX_SIZE=10000 condstore up" in PAGE.read_text()
    with pair(tmp_path, MAX_SIZE="10000") as both:
        environ = {
            **os.environ, "CONDSTORE_URL": both.logic.url, "NO_COLOR": "1",
            "PATH": f"{BIN}:{os.environ['PATH']}", "USER": "alice",
        }  # fmt: skip
        ran = examples()
        assert len(ran) > 9
        for line, told in ran:
            command = line.replace("localhost:5000", both.logic.url.removeprefix("http://"))
            done = subprocess.run(
                ["bash", "-c", command], cwd=tmp_path, env=environ, text=True, timeout=60,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
            printed = done.stdout.replace(both.logic.url, "http://localhost:5000").splitlines()
            assert len(printed) == len(told), (command, done.stdout)
            for expected, shown in zip(told, printed, strict=True):
                assert agrees(expected, shown), (command, expected, shown)
