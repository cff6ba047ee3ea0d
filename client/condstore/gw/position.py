"""How far was read: `lastrd.txt`, whose first line is the number of samples, as it always was.

A second line says of what, in JSON, so that a position is never applied to other data. It is
replaced in one step and synced: killed at any moment it is the old one or the new one. Refuses a
file that is damaged, of other data, or does not say of what, unless it says 0.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import orjson

from condstore import landing
from condstore.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT: Final = "lastrd.txt"
_LONGEST: Final = 10_000
_REMEDY: Final = "to begin at the first sample again, remove it or write 0 into it"


@dataclass(frozen=True, slots=True)
class Data:
    """What is read: event and detector as told, and where and how the series begins."""

    event: str
    detector: str
    channel: str
    t0: str
    dt: str

    def __str__(self) -> str:
        event = f" of {self.event}" if self.event else ""
        return f"{self.channel}{event} from GPS {self.t0} every {self.dt} s"


@dataclass(frozen=True, slots=True)
class Position:
    """So many samples are stored. `bound` is how many there were when reading began.

    `period` names the buffer's filling then: the keys of what is sent again must stay the same.
    """

    read: int
    bound: int
    period: str
    data: Data


def load(path: Path, data: Data) -> Position | None:
    """Return the position in `data`, None where reading begins; raise `UsageError`."""
    if path.exists() and not path.is_file() and not path.is_dir():  # a pipe would hold us
        raise UsageError(f"{path} is no file")
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    number, _, rest = content.partition(b"\n")
    if not content.strip() or (number.strip() == b"0" and not rest.strip()):
        return None
    return _parse(path, number.strip(), rest.strip(), data)


def save(path: Path, position: Position) -> None:
    """Replace the file and sync it; raise `UsageError` if it cannot be written."""
    told = {name: value for name, value in asdict(position).items() if name != "read"}
    try:
        with landing.published(path) as file:
            file.write(b"%d\n%s\n" % (position.read, orjson.dumps(told)))
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from error


def _parse(path: Path, number: bytes, rest: bytes, data: Data) -> Position:
    if not rest and number.isdigit():
        raise UsageError(
            f"{path} says {number.decode()[:20]} and not of which data, as the twin's own client "
            f"wrote it, which sent other times; {_REMEDY}"
        )
    try:
        told = orjson.loads(rest)
        was = Data(**told["data"])
        position = Position(int(number), int(told["bound"]), str(told["period"]), was)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged; {_REMEDY}") from error
    if not 0 <= position.read <= position.bound:
        raise UsageError(f"{path} is damaged; {_REMEDY}")
    if was != data:
        raise UsageError(
            f"{path} is the position in {was}; this is {data}. Name another file with --position, "
            f"or, {_REMEDY}"
        )
    return position
