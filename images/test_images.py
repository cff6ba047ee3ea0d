"""The images as they are: what is in them, and what is not."""

from __future__ import annotations

import re
import stat
import struct
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("condstore-databuffer", "condstore-logic", "condstore-client", "condstore-producer")
OURS = ("app", "opt/condstore")
SHARED = {"tmp", "var/tmp", "run/lock"}
COMPILERS = ("gcc", "cc", "c++", "make", "pip", "pip3", "apt-key.gpg", "git", "curl", "wget")
LABELS = ("title", "description", "version", "revision", "created", "source", "licenses")


@pytest.fixture(params=NAMES)
def built(request, image):
    """Return each image in turn."""
    return image(request.param)


UNCHECKED = 1
"""A compiled module that stands on its own (PEP 552): layers round the times of files."""


def everything(built):
    """Return every file, directory and link of an image but devices, with its path inside."""
    paths = [(path, str(path.relative_to(built.files))) for path in built.files.rglob("*")]
    return [(path, inside) for path, inside in paths if not inside.startswith("dev/")]


def test_its_size_is_told(built, capsys):
    """A line for docs/images.md; an image that grew by half was not meant to."""
    with capsys.disabled():
        print(f"\n{built.name}: {built.size / 1e6:.0f} MB", end=" ")
    assert built.size < (1e9 if built.name == "condstore-producer" else 250e6)


def test_it_says_what_it_is(built):
    """Its labels are those of the OCI, and none is empty."""
    labels = built.config["Labels"]
    assert all(labels[f"org.opencontainers.image.{name}"] for name in LABELS)
    assert re.fullmatch(r"\d+\.\d+\.\d+", labels["org.opencontainers.image.version"])


def test_it_runs_as_nobody_in_particular(built):
    """A number, so that a cluster can see that it is not root."""
    assert built.config["User"] == "10001:10001"
    assert built.config["StopSignal"] == "SIGTERM"


def test_nothing_in_it_is_its_users_but_its_volume(built):
    """Whoever takes the process over changes no code, also where the root can be written."""
    volume = {"condstore-databuffer": "volume", "condstore-logic": "view"}.get(built.name, "work")
    assert (built.files / volume).stat().st_uid == 10001
    for path, inside in everything(built):
        told = path.lstat()
        assert told.st_uid != 10001 or inside == volume, inside
        is_open = told.st_mode & stat.S_IWOTH and not path.is_symlink()
        assert not is_open or inside in SHARED, inside


def test_nothing_to_build_with_is_left(built):
    """No pip, no compiler, no cache, and nothing that was mounted while it was built."""
    bins = [built.files / folder for folder in ("usr/bin", "usr/local/bin", "opt/condstore/bin")]
    assert not [name for name in COMPILERS for folder in bins if (folder / name).exists()]
    assert not list(built.files.glob("*/**/site-packages/pip"))
    assert not (built.files / "root/.cache").exists()
    assert not (built.files / "etc/pip.conf").exists()
    assert [path.name for path in (built.files / "opt").iterdir()] == ["condstore"]
    assert not list((built.files / "src").glob("*"))
    assert not list((built.files / "run").rglob("*secret*"))


def test_no_secret_is_in_its_environment(built):
    """What is secret comes when it is run; what an image sets, whoever pulls it reads."""
    assert not [name for name in built.environ if re.search("TOKEN|SECRET|KEY|PASS", name)]


def test_every_module_is_compiled(built):
    """Nothing can be compiled where the root is read-only: what is not costs every start."""
    modules = [path for folder in OURS for path in (built.files / folder).rglob("*.py")]
    ours = [path for path in modules if "/app/" in str(path)]
    assert len(ours) > 50
    assert not [path for path in modules if not is_compiled(path)]


def is_compiled(path: Path) -> bool:
    """Say whether Python takes the compiled form of a module, whatever its file's time is."""
    (compiled,) = (path.parent / "__pycache__").glob(f"{path.stem}.cpython-*.pyc")
    (flags,) = struct.unpack("<4xI", compiled.read_bytes()[:8])
    return flags == UNCHECKED
