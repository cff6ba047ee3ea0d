"""`python -m condstore.gw`: the command line of the GW producer.

Exit status: 0 all of it is stored; 1 refused (a frozen buffer too); 2 used wrongly; 3 no server
answers; 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from condstore import interrupts
from condstore.errors import CondstoreError, Frozen, public
from condstore.gw import run
from condstore.gw.config import Config
from condstore.gw.position import DEFAULT
from condstore.segments import plain
from condstore.terminal import Terminal, warned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from condstore.gw.position import Position
    from condstore.gw.recording import Recording

_EVERY = 5.0  # seconds between lines of progress

HELP = """\
Stream strain around an event into the digital twin's datastore: segments of
300 samples, three at once, with GPS times and the channel's name.

  GWID=GW150914 DTCID=L1 INF=-15 SUP=16 python -m condstore.gw
        open data: 15 s before to 16 s after the event
  DTCID=L1 python -m condstore.gw L1.hdf5
        a local GWF, HDF5 or text file, all of it
  GWID=1126259462.4 DTCID=L1 INF=-4 SUP=4 python -m condstore.gw L1.hdf5
        a part of it, around a GPS time

Started again it goes on where it was; nothing is lost and nothing is twice."""

VARIABLES = """\
Environment:
  GWID      the event: a name, or with files also a GPS time
  DTCID     the detector: H1, L1, V1 ...
  INF, SUP  from and to when, seconds added to the event's time; INF < SUP
  SRV       URL of /streamdata (default http://localhost:5000/streamdata)
  CONDSTORE_TOKEN, CONDSTORE_TOKEN_FILE
            who asks, where the service wants to know

Exit status:  0 all is stored, 1 refused (frozen too), 2 used wrongly,
              3 no server answers, 130 interrupted"""


def main(words: Sequence[str] | None = None) -> int:
    """Run, and return the exit status."""
    told = _parser().parse_args(words)
    batches = 1 if told.once else run.MOST_BATCHES
    job = run.Job(tuple(told.files), told.channel, told.position, batches)
    try:
        with interrupts.terminable(), warned(_say):
            _produce(job)
    except CondstoreError as error:
        _say(str(error))
        return error.exit_code
    except OSError as error:  # a full disk, while open data are fetched
        _say(f"{error.filename or job.position.parent}: {error.strerror or error}")
        return 1
    except KeyboardInterrupt:
        _say(f"interrupted; {job.position} says how far it read, start it again to go on")
        return 130
    return 0


def _produce(job: run.Job) -> None:
    config = Config.from_environ(os.environ)
    found = run.find(config, job, _say)
    at = run.begin(config, job, found)
    _say(f"{at.data}: {_progress(at, found)}, to {public(config.url)}")
    try:
        end = run.stream(config, job, found, at, _telling(found))
    except Frozen as frozen:
        raise _kept(frozen, config, job) from frozen
    _say(_progress(end, found))


def _kept(frozen: Frozen, config: Config, job: run.Job) -> Frozen:
    return Frozen(
        f"{frozen.detail} Nothing is lost: {job.position} says how far it read. After a clean "
        f"(POST {config.base}/cleanbuf) start it again, and it goes on there.",
        status=frozen.status,
        code=frozen.code,
    )


def _progress(at: Position, found: Recording) -> str:
    gps = plain(found.time_of(at.read))
    return f"{at.read} of {found.samples} samples are stored, up to GPS {gps}"


def _telling(found: Recording) -> Callable[[Position], None]:
    """Return what says, now and then, how far it is."""
    said = time.monotonic()

    def tell(at: Position) -> None:
        nonlocal said
        if time.monotonic() - said >= _EVERY:
            said = time.monotonic()
            _say(_progress(at, found))

    return tell


def _say(line: str) -> None:
    Terminal.standard(colour=False).complain(f"gw: {line}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m condstore.gw",
        description=HELP,
        epilog=VARIABLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="strain files")
    parser.add_argument("--channel", metavar="NAME", help="which one, if a file has several")
    parser.add_argument(
        "--position", type=Path, default=Path(DEFAULT), metavar="FILE",
        help=f"where it keeps how far it read (default {DEFAULT})",
    )  # fmt: skip
    parser.add_argument(
        "--once", action="store_true", help="three segments and stop, as the twin's first client"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
