"""Reading strain files of every kind: the same channels, times and samples from each."""

from decimal import Decimal
from pathlib import Path

import pytest

from condstore import strain
from condstore.errors import UnreadableFile

h5py = pytest.importorskip("h5py")
np = pytest.importorskip("numpy")

DEMO = strain.demo_file()


def test_the_demo_file_has_three_detectors():
    """The test data of the installed gwpy package is found there, not copied."""
    found = strain.read(DEMO)
    assert [series.name for series in found] == ["H1:LDAS-STRAIN", "L1:LDAS-STRAIN", "V1:h_16384Hz"]
    assert {(series.t0, series.dt, len(series.samples)) for series in found} == {
        (Decimal(968654552), Decimal(1) / 16384, 16384)
    }


def test_gwosc_hdf5(tmp_path):
    """Open data: strain/Strain with Xstart and Xspacing, the detector from meta."""
    path = tmp_path / "H-H1_LOSC_4_V1-1126259446-32.hdf5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("strain/Strain", data=np.arange(5) * 1e-21)
        data.attrs["Xstart"], data.attrs["Xspacing"] = 1126259446, 1 / 4096
        file["meta/Detector"] = b"H1"
        file.create_dataset("quality/simple/DQmask", data=np.arange(5))
    (series,) = strain.read(path)
    assert (series.name, series.t0, series.dt) == (
        "H1:GWOSC-STRAIN", Decimal(1126259446), Decimal(1) / 4096,
    )  # fmt: skip
    assert series.samples.tolist() == (np.arange(5) * 1e-21).tolist()


def test_narrow_samples_are_widened(tmp_path):
    """float32 and integers become doubles of the same value."""
    path = tmp_path / "narrow.h5"
    with h5py.File(path, "w") as file:
        for name, kind in (("A", "f4"), ("B", ">i2")):
            data = file.create_dataset(name, data=np.array([1, -2, 3], dtype=kind))
            data.attrs["x0"], data.attrs["dx"] = 100.5, 0.25
    for series in strain.read(path):
        assert series.samples.tolist() == [1.0, -2.0, 3.0]
        assert (series.t0, series.dt) == (Decimal("100.5"), Decimal("0.25"))


def test_hdf5_without_a_series_is_refused(tmp_path):
    """Other HDF5 is refused with what was looked for."""
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["spectrum"] = np.arange(3.0)
    with pytest.raises(UnreadableFile, match="no series in this HDF5 file"):
        strain.read(path)


@pytest.mark.parametrize(("x0", "dx"), [(0.0, 0.0), (float("nan"), 1.0), (-1.0, 1.0), (0.0, -1.0)])
def test_an_impossible_axis_is_refused(tmp_path, x0, dx):
    """A series needs a start from 0 on and a step above 0."""
    path = tmp_path / "axis.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("A", data=np.arange(3.0))
        data.attrs["x0"], data.attrs["dx"] = x0, dx
    with pytest.raises(UnreadableFile, match="unusable"):
        strain.read(path)


def test_gwpy_text_gives_the_sampling_back(tmp_path):
    """Times that gwpy printed from doubles come back as a whole rate, exactly."""
    whole = strain.read(DEMO)[0]
    times = float(whole.t0) + np.arange(500) * float(whole.dt)
    path = tmp_path / "H1.txt"
    np.savetxt(path, np.column_stack((times, whole.samples[:500])))
    (series,) = strain.read(path)
    assert (series.t0, series.dt) == (whole.t0, whole.dt)
    assert series.samples == whole.samples[:500]


def test_text_with_comments_and_commas(tmp_path):
    """Comments and blank lines are skipped; a comma separates too."""
    path = tmp_path / "slow.csv"
    path.write_text("# GPS, value\n1000000000, 1.5\n\n1000000060, 2.5  # later\n1000000120,3.5\n")
    (series,) = strain.read(path)
    assert (series.name, series.t0, series.dt) == ("strain", Decimal(10**9), Decimal(60))
    assert series.samples.tolist() == [1.5, 2.5, 3.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "fewer than two"),
        ("1 2\n", "fewer than two"),
        ("1 2\n2 x\n", "line 2: expected `time value`"),
        ("1 2\n2 3 4\n", "line 2: expected `time value`"),
        ("hello\n", "line 1: expected `time value`"),
        ("nan 1\n2 3\n", "line 1: expected `time value`"),
        ("1 2\n1 3\n", "line 2: time 1 does not follow 1"),
        ("1 1\n2 1\n3 1\n5 1\n6 1\n", "off an even step"),
    ],
)
def test_bad_text_is_refused_with_its_line(tmp_path, text, message):
    """What is no regular series of `time value` is named by its line."""
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(UnreadableFile, match=message):
        strain.read(path)


def test_gwf_has_the_same_channels_as_hdf5():
    """The frame file beside the HDF5 file holds the same three series, to the last bit."""
    assert strain.read(DEMO.with_suffix(".gwf")) == strain.read(DEMO)


def test_a_broken_frame_file_is_one_line(tmp_path):
    """A file that only begins as a frame is refused by its path."""
    path = tmp_path / "broken.gwf"
    path.write_bytes(DEMO.with_suffix(".gwf").read_bytes()[:1000])
    with pytest.raises(UnreadableFile, match=r"broken\.gwf: "):
        strain.read(path)


def test_a_missing_file_is_one_line():
    """The path and the reason."""
    with pytest.raises(UnreadableFile, match=r"nowhere\.h5: No such file"):
        strain.read(Path("nowhere.h5"))
