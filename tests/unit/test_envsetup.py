"""envsetup.sh, the servers and the client name the same variables with the same defaults."""

import re
import subprocess
from pathlib import Path

import pytest

from condstore.config import Settings
from databuffer.config import Config as BufferConfig
from datastore_logic.config import Config as LogicConfig

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "envsetup.sh"
READ_IN = {
    "databuffer": ROOT / "databuffer/config.py",
    "datastore_logic": ROOT / "datastore_logic/config.py",
    "datastore_logic.access": ROOT / "datastore_logic/access/settings.py",
}
OF_THE_SYSTEM = {
    *("PATH", "HOME", "TMPDIR"),
    *("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"),
}
IN_AN_IMAGE = {
    *("SERVURL", "HOST", "PORT"),  # every interface
    *("VOLUME_ROOT", "VIEW_PATH"),  # where volumes are mounted
    *("DB_BURL", "CONDSTORE_URL"),  # the names of the digital twin's Services
    "LOG_FORMAT",  # for machines
}
_VARIABLE = re.compile(r"""["']([A-Z][A-Z_]{3,})["']""")


def sourced(*lines, environ=None, by="bash"):
    """Return the exported environment after running these lines in a clean shell."""
    clean = {"PATH": "/usr/bin:/bin", **(environ or {})}
    script = "\n".join([*lines, "env -0"])
    done = subprocess.run(
        [by, "-euc", script], env=clean, cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stderr == ""
    pairs = (entry.partition("=") for entry in done.stdout.split("\0") if entry)
    found = {name: value for name, _, value in pairs}
    return {
        name: found[name] for name in found if name not in {"PATH", "PWD", "SHLVL", "_", "OLDPWD"}
    }


@pytest.mark.parametrize("config", [BufferConfig, LogicConfig, Settings])
def test_the_defaults_are_the_built_in_ones(config):
    """With everything set as envsetup.sh sets it, a program behaves as with nothing set."""
    assert config.from_environ(sourced(". ./envsetup.sh")) == config.from_environ({})


@pytest.mark.parametrize("package", READ_IN)
def test_every_variable_a_server_reads_is_there(package):
    """A name in a server's config is a name in envsetup.sh."""
    read = set(_VARIABLE.findall(READ_IN[package].read_text()))
    assert len(read) > 5
    assert not read - set(sourced(". ./envsetup.sh"))


def test_every_variable_there_is_read_by_somebody():
    """Nothing in envsetup.sh is a left-over."""
    sources = [*READ_IN.values(), ROOT / "client/condstore/config.py"]
    text = "".join(path.read_text() for path in sources)
    named = {name.removesuffix("_FILE") for name in sourced(". ./envsetup.sh")}
    assert not [name for name in named if f'"{name}"' not in text]


def test_twice_is_harmless_and_what_is_set_stays():
    """Sourced again nothing changes; paths follow the volume that was set before."""
    mine = {"VOLUME_ROOT": "/data/volume", "PORT": "5999"}
    once, twice = (sourced(*[". ./envsetup.sh"] * times, environ=mine) for times in (1, 2))
    assert once == twice
    assert once["PORT"] == "5999"
    assert once["BLOBROOT"] == "/data/volume/blobs"


def test_any_shell_may_source_it():
    """The plain shell of an image reads it as bash does, where nothing unset may be used either."""
    assert sourced(". ./envsetup.sh", by="sh") == sourced(". ./envsetup.sh")


def test_nothing_but_variables_comes_of_it():
    """It prints nothing, and leaves options, folder and functions as they were."""
    look = "echo $-; pwd; umask; declare -F"
    script = f'before=$({look}); . ./envsetup.sh; [ "$before" = "$({look})" ]'
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout == done.stderr == ""


def test_no_secret_is_in_it():
    """What may hold a secret, or names the file of one, is empty."""
    found = sourced(". ./envsetup.sh")
    secret = {name: text for name, text in found.items() if re.search("TOKEN|SECRET|_KEY", name)}
    assert len(secret) > 5
    assert not {name for name, text in secret.items() if text}


@pytest.mark.parametrize("image", sorted(path.name for path in ROOT.glob("Dockerfile.*")))
def test_an_image_sets_our_variables_as_they_are_here(image):
    """What an image sets is a variable of ours; where it differs from its default, for a reason."""
    text = (ROOT / image).read_text().replace("\\\n", " ")
    words = " ".join(re.findall(r"^ENV (.*)$", text, re.MULTILINE)).split()
    told = dict(word.split("=", 1) for word in words)
    ours = {name: told[name] for name in told.keys() - OF_THE_SYSTEM}
    default = sourced(". ./envsetup.sh")
    assert not ours.keys() - default.keys()
    assert not {name for name in ours.keys() - IN_AN_IMAGE if ours[name] not in {"", default[name]}}


def test_every_variable_says_why():
    """A comment stands before each variable or before its group."""
    commented = False
    for line in SCRIPT.read_text().splitlines():
        if line.startswith(": "):
            assert commented, line
            name = re.match(r': "\$\{(\w+):=', line)[1]
            assert line.endswith(f'"; export {name}'), line
        else:
            commented = line.startswith("# ")
