"""Every parser under a coverage-guided fuzzer, a moment each; `make fuzz SECONDS=600` for more.

A finding becomes a file `found/<law>/<what it was>`, which is tried here for ever.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.every import LAWS

HERE = Path(__file__).parent
SECONDS = int(os.environ.get("FUZZ_SECONDS", "0"))
LIMITS = ("-timeout=30", "-rss_limit_mb=2048", "-max_len=8192", f"-max_total_time={SECONDS or 1}")
A_MOMENT = ("-runs=3000", "-seed=1")  # the same inputs each time, as far as the second reaches
KEPT = os.environ.get("FUZZ_CORPUS")
FOUND = sorted((HERE / "found").glob("*/*"))
SEEDS = [(name, number) for name, law in LAWS.items() for number in range(len(law.seeds))]


@pytest.mark.parametrize(("name", "number"), SEEDS)
def test_a_law_holds_for_its_seeds(name, number):
    """What the fuzzer begins with."""
    LAWS[name].check(LAWS[name].seeds[number])


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_law_holds_for_what_once_broke_it(path):
    """What the fuzzer found."""
    LAWS[path.parent.name].check(path.read_bytes())


# Seconds are for all cores; a moment is less than it takes to instrument the packages once more.
AT_ONCE = sorted({law.package for law in LAWS.values()}) if SECONDS else ["all packages"]


@pytest.mark.timeout(240 + 40 * SECONDS)
@pytest.mark.parametrize("package", AT_ONCE)
def test_laws_hold_for_what_a_fuzzer_makes(package, tmp_path):
    """Nothing is raised but what a law allows, and no input takes long or much memory."""
    names = [name for name, law in LAWS.items() if package in {law.package, "all packages"}]
    folder = Path(KEPT).resolve() if KEPT else tmp_path
    limits = LIMITS if SECONDS else (*LIMITS, *A_MOMENT)
    done = subprocess.run(
        [sys.executable, HERE / "fuzzer.py", folder, ",".join(names), *limits],
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        capture_output=True,
        check=False,
    )
    said = done.stderr.decode("utf-8", "replace").split("\n=== ")[1:]
    print(*(line for each in said for line in each.splitlines() if "Done" in line), sep="\n")
    broken = [each[:200] + each[-3000:] for each in said if not re.search(r"Done \d+ runs", each)]
    assert not broken, "\n\n".join(broken)
    assert (done.returncode, len(said)) == (0, len(names))
