"""docs/library.md and docs/bundles.md are true: their Python and their commands run."""

import re

import pages
import pytest
import servers
from logic_pair import pair as both_tiers

import condstore
from condstore.errors import NotOffline

EXAMPLE = "http://conditions.example:5000"
LIBRARY = (servers.ROOT / "docs" / "library.md").read_text()
BUNDLES = (servers.ROOT / "docs" / "bundles.md").read_text()
BEAM = b"a beam"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Run both tiers, and in a folder of its own the page's writes; return what they are run in."""
    folder = tmp_path_factory.mktemp("library")
    with both_tiers(folder) as pair, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "beam.root").write_bytes(BEAM)
        seen = World(pair, folder)
        seen.run(block(LIBRARY, "create_tag"))
        yield seen


class World:
    """The names that a page's Python knows, and what `process` was given."""

    def __init__(self, pair, folder):
        self.pair, self.folder, self.processed = pair, folder, {}
        self.names = {name: getattr(condstore, name) for name in condstore.__all__}
        exec("from pathlib import Path", self.names)  # noqa: S102 - as every page begins
        self.names["process"] = self.processed.__setitem__
        self.printed = []
        self.names["print"] = self.printed.append

    def run(self, code):
        """Run a block of a page against this installation."""
        here = code.replace(EXAMPLE, self.pair.logic.url).replace("/var/tmp", str(self.folder))  # noqa: S108 - the page's
        exec(here, self.names)  # noqa: S102 - it is our page


def block(page, words):
    """Return the page's one block of Python that has these words."""
    (found,) = [one for one in pages.blocks(page, "python") if words in one]
    return found


def test_the_writes_freeze_a_tag_and_name_its_content(world):
    """What is printed is the reference that the comment promises."""
    (reference,) = world.printed
    assert reference.startswith("2026-prompt@")
    assert world.names["client"].tag("2026-prompt").tag.reference == reference


def test_the_job_processes_every_run(world):
    """A hundred runs, each with the verified bytes, from the cache that the page names."""
    world.run(block(LIBRARY, "process(run"))
    assert world.processed == dict.fromkeys(range(1200, 1300), BEAM)
    assert list((world.folder / "conditions").rglob("*"))


def test_the_same_job_runs_without_a_network(world):
    """The page's bundle answers the page's loop."""
    world.run(block(BUNDLES, "client.pull"))
    assert world.names["content"] == BEAM
    world.run(block(LIBRARY, "Client.offline"))
    world.processed.clear()
    job = block(LIBRARY, "process(run")
    world.run(job.replace(job[job.index("client = ") :].partition("\n")[0], ""))
    assert world.processed == dict.fromkeys(range(1200, 1300), BEAM)
    with pytest.raises(NotOffline):
        world.names["client"].create_tag("x")


def test_the_commands_about_bundles_run(world):
    """Pulled, verified, asked without a server."""
    commands = [step.command for step in pages.steps(BUNDLES)]
    assert len(commands) == 3
    environ = {"CONDSTORE_URL": world.pair.logic.url, "PATH": f"{servers.BIN}:/usr/bin:/bin"}
    for status, said in pages.run(commands, world.folder, environ, 60.0):
        assert status == 0, said


def test_what_the_pages_call_is_there():
    """Every method in the library page's table is one of the client's."""
    rows = LIBRARY[LIBRARY.index("## What a client can do") : LIBRARY.index("Everything returns")]
    names = {one for code in re.findall(r"`([^`]+)`", rows) for one in re.findall(r"^\w+", code)}
    unknown = {name for name in names if not hasattr(condstore.Client, name)}
    assert unknown <= {"bytes", "NewIOV", "Producer"}, unknown
    assert len(names) > 30
