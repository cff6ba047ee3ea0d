"""The GW producer as a process, and strain files to hold against what a volume got of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

GPS = 1126259447
RATE = 4096
COMMAND = [sys.executable, "-m", "condstore.gw"]
NONE_SET = ("GWID", "DTCID", "INF", "SUP", "SRV", "CONDSTORE_URL", "GWOSC_SERVER_URL")


def environ(**told: str) -> dict[str, str]:
    """Return the environment of a producer: what is told, and nothing of the tests' own."""
    return {name: value for name, value in os.environ.items() if name not in NONE_SET} | told


def produce(folder: Path, *words: str, expect: int = 0, **told: str) -> str:
    """Run the producer in a folder, check its exit status and return what it said."""
    done = subprocess.run(
        [*COMMAND, *words], env=environ(**told), cwd=folder, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == expect, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stderr


def started(folder: Path, *words: str, **told: str) -> subprocess.Popen[str]:
    """Start the producer and do not wait."""
    return subprocess.Popen(
        [*COMMAND, *words], env=environ(**told), cwd=folder, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def open_data(path: Path, samples: Any, start: int = GPS, detector: str = "L1") -> Path:
    """Write an HDF5 file as the open data have it; return its path."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset("strain/Strain", data=samples)
        data.attrs["Xstart"], data.attrs["Xspacing"] = start, 1 / RATE
        file["meta/Detector"] = detector.encode()
    return path


def noise(count: int, seed: int = 1) -> Any:
    """Return samples like strain, no two alike."""
    return np.random.default_rng(seed).normal(scale=1e-21, size=count)


def stored(files: Iterable[Path]) -> dict[Decimal, float]:
    """Return every sample of some segment files by its exact time; each must be there once."""
    found: dict[Decimal, float] = {}
    for path in files:
        body = json.loads(path.read_text(), parse_float=Decimal)
        start, step = (Decimal(number) for number in body["t"])
        for index, value in enumerate(body["h"]):
            time = start + index * step
            assert time not in found, f"{path}: {time} was stored before"
            found[time] = float(value)
    return found


def expected(samples: Any, start: int = GPS) -> dict[Decimal, float]:
    """Return samples by their exact time, those that are no numbers left out."""
    step = Decimal(1) / RATE
    return {start + n * step: float(x) for n, x in enumerate(samples) if np.isfinite(x)}


def segment_files(volume: Path) -> list[Path]:
    """Return the files of all segments on a volume: in the buffer now, and archived."""
    return sorted(volume.rglob("gwb*.json"))
