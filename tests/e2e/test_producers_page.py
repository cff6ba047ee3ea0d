"""The examples of docs/producers.md are run, one after the other, as a reader would."""

import os
import re
import subprocess
import sys

import pytest
from logic_pair import pair
from servers import ROOT

PAGE = (ROOT / "docs" / "producers.md").read_text()
PRINTED = [
    "2 2 1",
    "3 files were acknowledged in 2026-prompt, 3 payloads uploaded, the ledger at LSN …",
    "2 files were acknowledged in 2026-prompt, 0 payloads uploaded, the ledger at LSN …",
    "2 segments",
    "3 segments",
    "0 of 1 were done before\n1 of 1 were done before",
    "2 files, 1000000 bytes",
]
"""What each example prints, `…` standing for a number."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make the files that the page speaks of."""
    made = tmp_path_factory.mktemp("page")
    (made / "calibration").mkdir()
    for run in (1200, 1201, 1202):
        (made / "calibration" / f"run-{run}.json").write_text(f'{{"run":{run}}}')
    lines = (f"{968654552 + number / 1024:.10f} {number}\n" for number in range(500))
    (made / "L1.txt").write_text("".join(lines))
    return made


def test_the_examples_run_and_print_what_is_expected(folder):
    """Each is a script of its own; together they go from an empty tag to a full one."""
    examples = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    with pair(folder) as both:
        assert both.post("/api/v1/global-tags", b'{"name":"2026-prompt"}').status == 201
        for example, told in zip(examples, PRINTED, strict=True):
            done = subprocess.run(
                [sys.executable, "-W", "error", "-c", example],
                env={**os.environ, "CONDSTORE_URL": both.logic.url},
                cwd=folder, capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 0, (example, done.stderr)
            words = r"\d+".join(map(re.escape, told.split("…")))
            assert re.fullmatch(words, done.stdout.strip()), (example, done.stdout)
