"""The Dockerfiles, envsetup.sh and the servers agree on every variable."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from databuffer.config import Config as BufferConfig
from databuffer.config import LogFormat as BufferLogFormat
from datastore_logic.config import Config as LogicConfig
from datastore_logic.config import LogFormat

ROOT = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("Dockerfile.*"))
TWIN = {
    "buffer": "ADMROOT ADMFNM DSST DATAROOT DATANM LOGROOT LOGSTREAM SERVURL DTVOLROOT WCHSZ",
    "logic": "ENDP_STAT ENDP_DUMP ENDP_DUMPF ENDP_SEND ENDP_DESC ENDP_UPD_DESC ENDP_CLEAN DB_BURL"
    " MAX_SIZE",
}
"""What the digital twin's own services are configured with."""

NOT_OURS = {"PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "TMPDIR", "HOME"}

DIFFERENT = {
    "buffer": {
        "host": "0.0.0.0",  # noqa: S104 - a container is asked from elsewhere
        "volume_root": Path("/volume"),  # what is mounted
        "log_format": BufferLogFormat.JSON,  # read by a collector
    },
    "logic": {
        "host": "0.0.0.0",  # noqa: S104 - a container is asked from elsewhere
        "buffer_url": "http://databuff:8080",  # the Service of that name
        "view_path": Path("/view/view.sqlite"),  # what is mounted
        "log_format": LogFormat.JSON,  # read by a collector
    },
}
"""The settings that an image has otherwise than a server started by hand, each for its reason."""

FOLLOWS = {"admroot", "dtvolroot", "dataroot", "logroot", "blobroot", "ledgerroot", "stateroot"}
"""Paths below the volume, which are otherwise because it is."""


def environ(file: Path) -> dict[str, str]:
    """Return what the last stage of a Dockerfile sets, and the stages it is made from."""
    text = file.read_text().replace("\\\n", " ")
    lines = [line.removeprefix("ENV ") for line in text.splitlines() if line.startswith("ENV ")]
    return dict(re.findall(r"([A-Z_]+)=(\S*)", " ".join(lines)))


def documented() -> set[str]:
    """Return the variables of envsetup.sh."""
    return set(re.findall(r'^: "\$\{([A-Z_]+):=', (ROOT / "envsetup.sh").read_text(), re.MULTILINE))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_variable_is_one_of_ours(file):
    """A name that nothing reads would be believed to do something."""
    assert not set(environ(file)) - documented() - NOT_OURS


@pytest.mark.parametrize("tier", TWIN)
def test_all_of_the_twins_variables_are_there(tier):
    """Whoever knows the twin's images finds its variables in ours."""
    assert set(TWIN[tier].split()) <= set(environ(ROOT / f"Dockerfile.{tier}"))


@pytest.mark.parametrize(("tier", "config"), [("buffer", BufferConfig), ("logic", LogicConfig)])
def test_an_image_has_the_built_in_values_but_for_those_listed(tier, config):
    """What differs is in the table above, with its reason."""
    told = environ(ROOT / f"Dockerfile.{tier}") | {"AUTH": "off"}
    here, built_in = config.from_environ(told), config.from_environ({"AUTH": "off"})
    found = {
        field.name: getattr(here, field.name)
        for field in fields(config)
        if getattr(here, field.name) != getattr(built_in, field.name)
    }
    assert {name: found[name] for name in found.keys() - FOLLOWS} == DIFFERENT[tier]
    assert all(found[name].is_relative_to("/volume") for name in FOLLOWS & found.keys())


@pytest.mark.parametrize("name", ["VOLUME_ROOT", "DTVOLROOT"])
def test_an_image_told_another_volume_has_all_of_it_there(name):
    """No path that an image sets keeps half of a store where the other half is not."""
    told = environ(ROOT / "Dockerfile.buffer") | {"AUTH": "off", name: "/elsewhere"}
    here = BufferConfig.from_environ(told)
    moved = {one for one in FOLLOWS if getattr(here, one).is_relative_to("/elsewhere")}
    below = {"dtvolroot", "dataroot", "blobroot"}
    assert moved == (FOLLOWS if name == "VOLUME_ROOT" else below)


def test_ports_and_probes_are_those_the_servers_listen_on():
    """What is exposed is what is listened on."""
    buffer, logic = ((ROOT / f"Dockerfile.{tier}").read_text() for tier in TWIN)
    assert "EXPOSE 8080\n" in buffer
    assert environ(ROOT / "Dockerfile.buffer")["SERVURL"] == ":8080"
    assert f"EXPOSE {environ(ROOT / 'Dockerfile.logic')['PORT']}\n" in logic


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_all_are_made_from_one_base_of_an_exact_version(file):
    """The same base, so that a node keeps it once; and the version that the package has."""
    text = file.read_text()
    bases = re.findall(r"^ARG BASE=(\S+)$", text, re.MULTILINE)
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+\.\d+-slim-[a-z]+", bases[0])
    assert bases == re.findall(r"^ARG BASE=(\S+)$", FILES[0].read_text(), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(re.findall(r"^ARG VERSION=(\S+)$", text, re.MULTILINE)) == {project["version"]}


def test_what_images_run_is_what_is_tested():
    """Every lock of an image holds versions of lock/dev.txt and no other."""
    tested = pinned(ROOT / "lock/dev.txt")
    used = {lock for file in FILES for lock in re.findall(r"-r (lock/\S+)", file.read_text())}
    assert len(used) == 5
    for lock in used:
        assert pinned(ROOT / lock) <= tested


def pinned(lock: Path) -> set[str]:
    """Return the lines of a lock that name a version."""
    return set(re.findall(r"^[A-Za-z0-9].*==.*$", lock.read_text(), re.MULTILINE))
