"""Every example of every help text is run in docs/command.md, with the output that stands there.

The page's console blocks are run from top to bottom against real servers, in one folder, and
compared as `pages` says; `# exit status 1` behind a command is what it ends with; `^C` is where
Ctrl-C is pressed; what a person types stands behind the prompt. The last part, who may do what, is
run against servers that want to know who asks.
"""

import dataclasses
import inspect
import json
import re
import shutil

import command
import pages
import pytest
import servers
import typer.main
from typer.testing import CliRunner

from condstore import cli, strain
from condstore.digests import Digest

PAGE = servers.ROOT / "docs" / "command.md"
BEAM = "sha256:<64 digits>"
ELSEWHERE = {"condstore up", "condstore demo"}
"""They take seconds and are on the page with more options; test_client_up.py runs them as well."""
WHO = "## Who may do what"
STATUS = re.compile(r"\s+# exit status (\d)$")
PROMPT = re.compile(r"^type \S+ to go on: (.*)$", re.MULTILINE)


def console(page=None):
    """Return the steps of the page, a command that goes on over a line end as one line."""
    return [
        dataclasses.replace(step, command=re.sub(r"\\\n\s*", "", step.command))
        for step in pages.steps(PAGE.read_text() if page is None else page)
    ]


def commands(group=None, words=("condstore",)):
    """Yield (words, command) for the command, its groups and all their commands."""
    group = group or typer.main.get_command(cli.app)
    yield words, group
    for name, one in getattr(group, "commands", {}).items():
        yield from commands(one, (*words, name))


def examples(help_text):
    """Return the command lines among the examples of a help text, without what is said of them."""
    joined = help_text.replace("\\\n", "")
    lines = re.findall(r"^  (?! )(.*\bcondstore\b.*)$", joined, re.MULTILINE)
    return [re.sub(r"\s+", " ", re.split(r" {2,}(?=[a-z])", line)[0]) for line in lines]


ALL = dict(commands())


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_examples_and_each_is_run(words):
    """A help text is worked examples first, and none is only claimed."""
    found = examples(ALL[words].help)
    assert found
    run = {re.sub(r" +", " ", STATUS.sub("", step.command)) for step in console()}
    assert not [line for line in found if line not in run | ELSEWHERE]


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_help_text_keeps_to_a_terminal_of_80_columns(words, monkeypatch):
    """No line is wider, and no example is broken."""
    monkeypatch.setenv("COLUMNS", "80")
    done = CliRunner().invoke(cli.app, [*words[1:], "--help"])
    shown = done.stdout.splitlines()
    assert max(map(len, shown)) <= 80
    written = inspect.cleandoc(ALL[words].help).splitlines()
    for line in (one for one in written if re.match(r"  .*\bcondstore ", one)):
        assert f"  {line}" in shown
        assert len(line) <= 77


@pytest.mark.parametrize("words", [words for words in ALL if len(words) > 1], ids=" ".join)
def test_the_page_names_every_command(words):
    """Nobody has to find a command by chance."""
    assert f"`{' '.join(words)}" in PAGE.read_text()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Run both servers, and put the files of the examples into a folder."""
    folder, here = tmp_path_factory.mktemp("tiers"), tmp_path_factory.mktemp("here")
    with (
        servers.databuffer(folder) as buffer,
        servers.logic(buffer.url, folder, workers=1, MAX_SIZE="100000") as logic,
    ):
        write_files(here)
        yield command.Command(logic.url, f"{buffer.url}/", here, NO_COLOR="1")


def write_files(here):
    """Write what the examples name: strain of three detectors, text, a segment, payloads."""
    shutil.copy(strain.demo_file(), here / "HLV.gwf")
    shutil.copy(strain.demo_file(), here / "L1.hdf5")
    (here / "noise.txt").write_text("1000 1.5\n1001 2.5\n1002 3.5\n")
    (here / "segment.json").write_text('{"h":[1.5,2.5],"t":[2000,0.5]}')
    (here / "beam.json").write_text('{"x":1}\n')
    (here / "field.json").write_text('{"b":1.4}\n')
    (here / "rows.csv").write_text(
        "payload_type,start,end,name\nBeam,1300,1400,beam-1300\nField,1200:17,,field-7\n"
    )


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """Run both servers so that they want to know who asks, and a freeze takes two."""
    folder, here = tmp_path_factory.mktemp("guarded"), tmp_path_factory.mktemp("here")
    admin = "the-admin-of-this-page-0123456789"
    with (
        servers.databuffer(folder) as buffer,
        servers.logic(
            buffer.url, folder, workers=1, ADMIN_TOKEN=admin, FREEZE_APPROVALS="2"
        ) as logic,
    ):
        yield command.Command(
            logic.url, f"{buffer.url}/", here, NO_COLOR="1", CONDSTORE_TOKEN=admin
        )


def test_every_example_of_the_page_does_what_the_page_says(world):
    """From top to bottom, each with its output and its exit status."""
    for step in console(PAGE.read_text().partition(WHO)[0]):
        run(world, step)


def test_every_example_of_who_may_do_what(guarded):
    """By servers that want to know; what is exported stays so."""
    for step in console(PAGE.read_text().partition(WHO)[2]):
        run(guarded, step)
        if "export CONDSTORE_TOKEN_FILE=alice.token" in step.command:
            guarded.environ |= {"CONDSTORE_TOKEN": "", "CONDSTORE_TOKEN_FILE": "alice.token"}


def run(world, step):
    """Run one command of the page and compare."""
    found = STATUS.search(step.command)
    line = STATUS.sub("", step.command)
    status, said = said_by(world, line, step.output)
    assert status == int(found[1] if found else 0), (line, status, said)
    assert "Traceback" not in said
    shown = dataclasses.replace(step, output=step.output.replace("^C\n", ""))
    assert shown.agrees(said), f"$ {line}\n{said}\n--- expected:\n{shown.output}"
    if " --json" in line and "--watch" not in line and status in {0, 1}:
        json.loads(said)


def said_by(world, line, output):
    """Run a command as the page shows it; return its exit status and what it printed."""
    asked = PROMPT.search(output)
    if asked:
        status, said = world.typed(line, asked[1])
        said = command.plain(said)
    elif "^C\n" in output:
        before = output.partition("^C\n")[0].splitlines()[-1]
        status, said = world.interrupted(placed(line), pages.pattern(before))
    else:
        status, said = world.shell(placed(line))
    for url, name in ((world.environ["DB_BURL"], "http://localhost:8080/"),
                      (world.environ["CONDSTORE_URL"], "http://localhost:5000")):  # fmt: skip
        said = said.replace(url, name)
    return status, said


def placed(line):
    """Return a command with ports that are free, and the digest that the page leaves out."""
    if not re.search(r"condstore (up|demo)", line):
        digest = Digest.of(b'{"x":1}\n')
        return line.replace("http://localhost:8080/", "$DB_BURL").replace(BEAM, digest)
    ports = f"SERVURL=127.0.0.1:{servers.free_port()} PORT={servers.free_port()} "
    return ports + re.sub(r"SERVURL=\S+ PORT=\S+ ", "", line)
