"""Reading a strain file, whatever it is: channels with t0 and dt exact, and samples.

HDF5 as gwpy writes it (datasets with `x0` and `dx`) and as open data has it (`strain/Strain` with
`Xstart` and `Xspacing`), GWF frames, and two-column text (time, value). The kind is told by the
file's first bytes, not by its name. Refuses what has no regular time axis, naming the place.

h5py and the frame libraries are imported only when a file needs them.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import re
from array import array
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation, localcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from condstore.errors import UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Foreign: TypeAlias = Any  # what h5py, numpy and the frame libraries give: they are not typed

DEMO_FILE: Final = "testing/data/HLV-HW100916-968654552-1.hdf"
DEFAULT_TYPE: Final = "strain"
INSTALL: Final = "pip install 'condstore[demo]'"

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_GWF_MAGIC = b"IGWD"
_NOT_IN_A_TYPE_NAME = re.compile(r"[^A-Za-z0-9_.:+~-]")
_SIGNIFICANT = 18
_LONGEST_NUMBER = 60
_ORDERS = range(-30, 20)


@dataclass(frozen=True, slots=True)
class Series:
    """One channel: its name, the GPS time of its first sample, the step in seconds, the samples."""

    name: str
    t0: Decimal
    dt: Decimal
    samples: array[float]

    @property
    def payload_type(self) -> str:
        """The name, with what a payload type's name may not contain replaced.

        >>> Series("/data/H1:STRAIN", Decimal(0), Decimal(1), array("d")).payload_type
        'data_H1:STRAIN'
        """
        return _NOT_IN_A_TYPE_NAME.sub("_", self.name.strip("/"))[:200] or DEFAULT_TYPE

    def renamed(self, name: str) -> Series:
        """Return the same samples under another name."""
        return replace(self, name=name)


def read(path: Path) -> tuple[Series, ...]:
    """Return the channels of a strain file; raise `UnreadableFile` saying what is wrong with it."""
    try:
        with path.open("rb") as file:
            magic = file.read(8)
        if magic == _HDF5_MAGIC:
            return _read_hdf5(path)
        if magic.startswith(_GWF_MAGIC):
            return _read_gwf(path)
        return (_read_text(path),)
    except OSError as error:
        raise UnreadableFile(f"{path}: {error.strerror or error}") from error


def demo_file() -> Path:
    """Return the detector data that the installed gwpy package brings (gwpy is not imported)."""
    found = importlib.util.find_spec("gwpy")
    for folder in (found.submodule_search_locations if found else None) or ():
        if (path := Path(folder) / DEMO_FILE).is_file():
            return path
    raise UnreadableFile(f"the demo reads gwpy's own test data; install it with {INSTALL}")


# -- HDF5 ----------------------------------------------------------------------------------------


def _read_hdf5(path: Path) -> tuple[Series, ...]:
    h5py = _import("h5py", f"{path} is an HDF5 file; to read it: {INSTALL}")
    with h5py.File(path, "r") as file:
        found = tuple(_hdf5_series(path, file))
    if not found:
        raise UnreadableFile(
            f"{path}: no series in this HDF5 file (looked for datasets with x0 and dx, as gwpy "
            "writes them, and for strain/Strain with Xstart and Xspacing)"
        )
    return found


def _hdf5_series(path: Path, file: Foreign) -> Iterator[Series]:
    datasets: list[Foreign] = []
    file.visititems(lambda _, thing: datasets.append(thing) if hasattr(thing, "shape") else None)
    for dataset in datasets:
        names = _hdf5_axis(dataset)
        if names is None:
            continue
        start, step, name = names
        yield _series(path, name or _gwosc_name(file), start, step, dataset[()])


def _hdf5_axis(dataset: Foreign) -> tuple[Foreign, Foreign, str] | None:
    """Return start, step and name ("" for open data) if the dataset is a series in time."""
    attributes: Mapping[str, Foreign] = dataset.attrs
    if dataset.ndim != 1 or dataset.dtype.kind not in "fiu":
        return None
    if "x0" in attributes and "dx" in attributes:
        if _text(attributes.get("xunit", "s")) != "s":
            return None
        name = attributes.get("channel", attributes.get("name"))
        return attributes["x0"], attributes["dx"], _channel_name(name) or dataset.name
    if dataset.name == "/strain/Strain" and "Xstart" in attributes and "Xspacing" in attributes:
        return attributes["Xstart"], attributes["Xspacing"], ""
    return None


def _channel_name(name: Foreign) -> str:
    """Return the name kept with a series; older gwpy pickled it, which is not opened here."""
    text = _text(name) if isinstance(name, str | bytes) else ""
    return text if text.isprintable() else ""


def _gwosc_name(file: Foreign) -> str:
    """Open data names the detector, not the channel: make the name its frames use."""
    detector = file.get("meta/Detector")
    return f"{_text(detector[()])}:GWOSC-STRAIN" if detector is not None else "GWOSC-STRAIN"


def _text(value: Foreign) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


# -- GWF -----------------------------------------------------------------------------------------


def _read_gwf(path: Path) -> tuple[Series, ...]:
    try:
        gwframe = importlib.import_module("gwframe")
        channels = gwframe.read(str(path))
    except ImportError:
        raise UnreadableFile(f"{path} is a GWF frame file; to read it: {INSTALL}") from None
    except (RuntimeError, ValueError) as error:
        raise UnreadableFile(f"{path}: {error}") from error
    return tuple(
        _series(path, name, series.start, series.dt, series.array)
        for name, series in channels.items()
    )


# -- text ----------------------------------------------------------------------------------------


def _read_text(path: Path) -> Series:
    """Read `time value` lines (blank or comma between, `#` comments), as gwpy writes them."""
    offsets, samples = array("d"), array("d")
    first = last = Decimal(0)
    for place, time, value in _text_rows(path):
        if not samples:
            first = time
        elif time <= last:
            raise UnreadableFile(f"{place}: time {time} does not follow {last}")
        last = time
        offsets.append(float(time - first))
        samples.append(value)
    if len(samples) < 2:
        raise UnreadableFile(f"{path}: fewer than two `time value` lines; not a strain text file")
    grain = _grain(first, last)
    dt = _step(last - first, len(samples), grain)
    _check_regular(path, offsets, float(dt), float(grain))
    return Series(DEFAULT_TYPE, first, dt, samples)


def _text_rows(path: Path) -> Iterator[tuple[str, Decimal, float]]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            words = line.partition("#")[0].replace(",", " ").split()
            if not words:
                continue
            place = f"{path}, line {number}"
            try:
                time, value = words
                yield place, _gps(time), float(value)
            except (ValueError, InvalidOperation):
                shown = line.strip()[:60]
                raise UnreadableFile(
                    f"{place}: expected `time value`, found {shown!r}; is it a strain file? "
                    "(any other file needs --type, --major and --minor)"
                ) from None


def _grain(first: Decimal, last: Decimal) -> Decimal:
    """Return how finely the times are known: as written, or as the double behind them."""
    written = max(Decimal(1).scaleb(_exponent(time)) for time in (first, last))
    return max(written, Decimal(math.ulp(float(last))))


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _step(length: Decimal, samples: int, grain: Decimal) -> Decimal:
    """Return the step: one over a whole sampling rate where the times allow it, else their mean.

    Times printed from doubles are off by a tenth of a microsecond at today's GPS; a whole number
    of samples a second is what a detector means.
    """
    with localcontext(prec=_SIGNIFICANT):
        mean = length / (samples - 1)
        rate = (1 / mean).to_integral_value()
        if rate and abs(1 / rate - mean) * (samples - 1) <= 2 * grain:
            return 1 / rate
        return mean


def _check_regular(path: Path, offsets: Sequence[float], dt: float, grain: float) -> None:
    slack = min(max(2.0 * grain, 0.01 * dt), 0.5 * dt)
    for index, offset in enumerate(offsets):
        if abs(offset - index * dt) > slack:
            raise UnreadableFile(
                f"{path}: sample {index} is {offset - index * dt:+.3g} s off an even step of "
                f"{dt:.6g} s; cut the file at its gaps"
            )


# -- shared --------------------------------------------------------------------------------------


def _series(path: Path, name: str, start: Foreign, step: Foreign, values: Foreign) -> Series:
    """Make a series of numpy values; samples become doubles, which loses nothing narrower."""
    samples = array("d", values.astype("=f8").tobytes())
    try:
        t0, dt = _gps(start), _gps(step)
    except InvalidOperation as error:
        raise UnreadableFile(
            f"{path}: {name}: start {start!r} or step {step!r} unusable"
        ) from error
    if not (t0.is_finite() and dt.is_finite() and t0 >= 0 and dt > 0):
        raise UnreadableFile(f"{path}: {name}: start {start!r} or step {step!r} unusable")
    if not samples:
        raise UnreadableFile(f"{path}: {name} has no samples")
    return Series(name, t0, dt, samples)


def _gps(value: Foreign) -> Decimal:
    """Return the number as it was meant: the text's own, or the shortest that is this double.

    Raises:
        InvalidOperation: it is none that could be a time or a step.
    """
    text = _text(value) if isinstance(value, str | bytes) else repr(float(value))
    number = Decimal(text)
    if len(text) > _LONGEST_NUMBER or not number.is_finite() or number.adjusted() not in _ORDERS:
        raise InvalidOperation
    return number


def _import(module: str, otherwise: str) -> Foreign:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UnreadableFile(otherwise) from error
