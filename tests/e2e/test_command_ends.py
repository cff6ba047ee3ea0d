"""How the command ends, asks and shows: exit statuses, questions, terminals and pipes."""

import subprocess
import sys
import time

import command
import pytest
import servers

from condstore import strain

DEMO = strain.demo_file()
ESCAPE = "\x1b["


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Run both servers for this module."""
    folder = tmp_path_factory.mktemp("ends")
    with (
        servers.databuffer(folder) as buffer,
        servers.logic(buffer.url, folder, workers=1, MAX_SIZE="10") as logic,
    ):
        yield logic, buffer


@pytest.fixture(scope="module")
def condstore(pair, tmp_path_factory):
    """Return the command, with a tag that has a payload and a gap."""
    logic, buffer = pair
    run = command.Command(logic.url, f"{buffer.url}/", tmp_path_factory.mktemp("here"))
    run("tag", "create", "prompt")
    run("iov", "insert", "prompt", "Beam", "100", "--end", "200", "--name", "beam-100")
    run("iov", "insert", "prompt", "Beam", "300", "--name", "beam-300")
    return run


# -- exit statuses: the table of docs/command.md -------------------------------------------------


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (0, "condstore resolve prompt 150"),
        (0, "condstore tag create prompt"),
        (1, "condstore resolve prompt 250"),
        (1, "condstore resolve nosuchtag 250"),
        (1, "condstore tag check prompt"),
        (1, "condstore tag freeze prompt --strict --yes"),
        (1, "condstore tag freeze prompt --strict --dry-run"),
        (1, "condstore tag diff prompt@1 prompt --exit-code"),
        (1, "condstore verify nosuchfile || exit 1"),
        (2, "condstore resolve prompt yesterday"),
        (2, "condstore resolve prompt"),
        (2, "condstore nosuchcommand"),
        (2, "condstore tag freeze prompt"),
        (2, "condstore tag delete prompt"),
        (2, "condstore buffer flush"),
        (2, "condstore iov delete prompt Beam 100"),
        (2, "condstore iov insert prompt Beam 100"),
        (2, "condstore --url localhost status"),
        (2, "condstore status --url localhost"),
        (3, "condstore status --url http://127.0.0.1:1"),
        (3, "condstore tag list --url http://127.0.0.1:1 --json"),
    ],
)
def test_the_exit_status_says_what_happened(condstore, status, line):
    """0 done, 1 refused or failed, 2 used wrongly, 3 no server; failures have no traceback."""
    ended, said = condstore.shell(line)
    assert ended == status, said
    assert "Traceback" not in said


def test_an_expected_failure_is_one_line_on_standard_error(condstore):
    """With --json too: standard output stays empty."""
    for words in (("resolve", "nosuchtag", "1"), ("tag", "show", "nosuchtag", "--json")):
        said = condstore(*words, expect=1)
        assert said.startswith("condstore: ")
        assert said.count("\n") == 1


def test_ctrl_c_is_130(condstore):
    """At a question, and nothing is done."""
    status, said = condstore.typed("condstore tag delete prompt", "\x03")
    assert status == 130, said
    assert "Traceback" not in said
    assert condstore.json("tag", "show", "prompt")["tag"]["state"] == "unlocked"


# -- questions -----------------------------------------------------------------------------------


def test_what_cannot_be_taken_back_asks_for_the_name(condstore):
    """The name itself does it; anything else, or the end of the input, does nothing."""
    condstore("tag", "create", "scratch")
    for answer in ("yes", "", "Scratch", "\x04"):
        status, said = condstore.typed("condstore tag delete scratch", answer)
        assert status == 1, said
        assert "nothing was done" in said
    assert condstore.json("tag", "list", "--search", "scratch")
    status, said = condstore.typed("condstore tag delete scratch", "scratch")
    assert status == 0, said
    assert not condstore.json("tag", "list", "--search", "scratch")


def test_a_script_is_not_asked_but_told(condstore):
    """Without a terminal and without --yes nothing is done: exit status 2, one line says why."""
    said = condstore("tag", "freeze", "prompt", expect=2)
    assert "a script says --yes" in said
    assert condstore.json("tag", "show", "prompt")["tag"]["state"] == "unlocked"


def test_who_freezes_reads_first_what_speaks_against_it(condstore):
    """The gap is on the screen before the name is typed."""
    status, said = condstore.typed("condstore tag freeze prompt", "no")
    assert status == 1
    assert 0 < said.index("1 gap: [200, 300)") < said.index("type prompt to go on")


def test_a_strict_freeze_that_is_refused_says_for_what(condstore):
    """The findings, and the command that shows them again; with --json one line only."""
    freeze = ("tag", "freeze", "prompt", "--strict", "--yes")
    findings, refusal = condstore(*freeze, expect=1).splitlines()[:-1], condstore(*freeze, expect=1)
    assert "Beam: 1 gap: [200, 300)" in findings
    assert "condstore tag check prompt" in refusal.splitlines()[-1]
    said = condstore(*freeze, "--json", expect=1)
    assert said.count("\n") == 1
    assert "condstore tag check prompt" in said


def test_what_would_be_refused_is_refused_dry_too(condstore):
    """Each --dry-run knows the tag's state, and its exit status is 1."""
    condstore("tag", "clone", "prompt", "shut")
    condstore("tag", "lock", "shut")
    insert = ("iov", "insert", "shut", "Beam", "150", "--name", "x")
    delete = ("iov", "delete", "shut", "Beam", "100")
    for words in (insert, delete, ("tag", "delete", "shut")):
        assert "the tag is locked" in condstore(*words, "--dry-run", expect=1)
        condstore(*words, *(() if words == insert else ("--yes",)), expect=1)
    said = condstore("tag", "unfreeze", "shut", "--reason", "x", expect=1)
    assert "not frozen but locked" in said


def test_what_was_streamed_is_not_changed_by_itself(condstore):
    """Each --dry-run says so, and the server agrees."""
    (condstore.folder / "one.json").write_text('{"h":[1.5,2.5],"t":[2000,0.5]}')
    condstore("stream", "one.json")
    insert = ("iov", "insert", "stream", "strain", "150", "--name", "x")
    for words in (insert, ("tag", "delete", "stream"), ("tag", "lock", "stream")):
        assert "it holds what was streamed" in condstore(*words, "--dry-run", expect=1)
        condstore(*words, *(["--yes"] if "delete" in words else []), expect=1)


def test_what_is_frozen_already_is_not_asked_about(condstore):
    """Freezing again is harmless, so a script may try again."""
    condstore("tag", "create", "done")
    condstore("tag", "freeze", "done", "--yes")
    again = condstore.json("tag", "freeze", "done")
    assert again["state"] == "frozen"
    assert condstore.json("tag", "log", "done")[0]["actor"] == "alice"
    status, _ = condstore.typed("condstore tag unfreeze done --reason try", "done")
    assert status == 0
    assert condstore.json("tag", "log", "done")[0]["about"]["reason"] == "try"


# -- terminals and pipes -------------------------------------------------------------------------


def test_colour_is_for_terminals_and_for_who_wants_it(condstore):
    """None in a pipe, none with NO_COLOR, none on a dumb terminal."""
    line = "condstore iov list prompt Beam"
    assert ESCAPE in condstore.typed(line)[1]
    assert ESCAPE not in condstore.typed(f"NO_COLOR=1 {line}")[1]
    assert ESCAPE not in condstore.typed(f"TERM=dumb {line}")[1]
    assert ESCAPE not in condstore.typed(f"{line} | cat")[1]
    assert ESCAPE not in condstore.shell(line)[1]


def test_a_bar_moves_on_a_terminal_and_leaves_the_results_alone(condstore):
    """Progress goes to standard error: what is piped on is results only."""
    status, said = condstore.typed(f"condstore stream {DEMO} --json > out.json")
    assert status == 0, said
    assert "segments" in command.plain(said)
    status, said = condstore.shell(f"condstore stream {DEMO} 2> err.txt")
    assert status == 0
    assert said.count("\n") == 1
    assert (condstore.folder / "err.txt").read_text() == ""


def test_what_was_put_stands_below_the_bar(condstore):
    """The bar is gone when the digests are said, one a line."""
    for name in ("one.bin", "two.bin"):
        (condstore.folder / name).write_bytes(name.encode())
    status, said = condstore.typed("condstore put one.bin two.bin")
    assert status == 0, said
    shown = command.plain(said).splitlines()
    assert [line.partition("  ")[2] for line in shown[-2:]] == ["one.bin", "two.bin"]
    assert all(line.startswith("sha256:") for line in shown[-2:])


def test_what_was_put_before_a_failure_is_said(condstore):
    """It is stored: nobody should put it again for its digest."""
    (condstore.folder / "there.bin").write_bytes(b"there")
    said = condstore("put", "there.bin", "nowhere.bin", expect=1)
    assert "  there.bin\n" in said
    assert "condstore: nowhere.bin: No such file" in said


@pytest.mark.parametrize(
    "words",
    [
        ("iov", "list", "prompt", "Beam"),
        ("tag", "show", "prompt", "--plot", "x.svg"),
        ("pull", "prompt"),
    ],
)
def test_an_end_before_the_beginning_is_refused_by_the_options_name(condstore, words):
    """Not in the words of a request nobody wrote."""
    said = condstore(*words, "--begin", "500", "--end", "10", expect=2)
    assert said == "condstore: --end 10 does not come after --begin 500\n"


def test_who_streams_a_payload_is_in_the_history(condstore):
    """As who inserts one is."""
    (condstore.folder / "who.json").write_text("{}")
    condstore("tag", "create", "who")
    words = ("stream", "who.json", "--type", "Who", "--major", "1", "--tag", "who")
    condstore(*words, "--user", "bob")
    assert condstore.json("tag", "log", "who")[0]["actor"] == "bob"


def test_a_pipe_that_closes_is_no_noise(condstore):
    """`| head -1` ends it, and nobody hears of it."""
    _, said = condstore.shell("condstore iov list prompt Beam --json | head -1")
    assert said == "[\n"


def test_a_servers_words_do_not_move_the_terminal(condstore):
    """A description with escape codes is shown, not obeyed."""
    condstore("tag", "create", "evil", "--description", "red \x1b[31m and \x1b[2Jgone")
    status, said = condstore.typed("condstore tag show evil")
    assert status == 0
    assert "\x1b[2J" not in said


def test_wide_names_keep_the_columns(condstore):
    """Letters that take two columns count as two."""
    condstore("tag", "create", "wide")
    condstore("iov", "insert", "wide", "Beam", "1", "--end", "2", "--name", "ビーム")
    condstore("iov", "insert", "wide", "Beam", "2", "--name", "b")
    first, second = condstore("iov", "list", "wide", "Beam", "--long").splitlines()[1:]
    assert first.index("  ビーム  ") == second.index("  b  ")
    assert len(first) + 3 == len(second)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("tag", "list", "--search", "nothing-like-it"), "no global tag is like that"),
        (("type", "list", "--search", "nothing-like-it"), "no payload type is like that"),
        (("iov", "list", "prompt", "Beam", "--end", "50"), "no payload IOVs here"),
        (("tag", "show", "empty"), "no payloads yet: condstore iov insert empty"),
    ],
)
def test_where_there_is_nothing_the_next_step_is_said(condstore, words, hint):
    """An empty table helps nobody."""
    condstore("tag", "create", "empty")
    assert hint in condstore(*words)


# -- --help, and what it costs -------------------------------------------------------------------


def test_help_imports_nothing_that_it_does_not_need():
    """`--help` stays quick: no HTTP, no rich, no pydantic before there is something to do."""
    code = (
        "import sys; sys.argv = ['condstore', '--help']\n"
        "from condstore.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "slow = {'requests', 'urllib3', 'aiohttp', 'rich', 'pydantic', 'orjson', 'numpy'}\n"
        "slow |= {'email.utils', 'urllib.request'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# -- completion ----------------------------------------------------------------------------------


def complete(condstore, *words, url=None):
    """Return what bash would offer for the last of the words."""
    environ = {"_CONDSTORE_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words)}
    environ |= {"COMP_CWORD": str(len(words) - 1)} | ({"CONDSTORE_URL": url} if url else {})
    done = subprocess.run(
        [servers.BIN / "condstore"],
        env={**condstore.environ, **environ},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return done.stdout.split(), done.stderr


def test_the_shell_completes_commands_tags_and_types(condstore):
    """Names come from the server."""
    assert complete(condstore, "condstore", "tag", "fr") == (["freeze"], "")
    assert complete(condstore, "condstore", "tag", "show", "prom") == (["prompt"], "")
    assert complete(condstore, "condstore", "iov", "list", "prompt", "Be") == (["Beam"], "")
    assert complete(condstore, "condstore", "resolve", "prompt", "1", "--type", "B") == (
        ["Beam"], "",
    )  # fmt: skip


def test_completion_without_a_server_is_quick_and_silent(condstore):
    """The next press of the tab key must not hang or complain."""
    begun = time.monotonic()
    for url in ("http://127.0.0.1:1", "nonsense"):
        assert complete(condstore, "condstore", "tag", "show", "p", url=url) == ([], "")
    assert time.monotonic() - begun < 20
