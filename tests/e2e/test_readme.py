"""README.md is true: after `make run` each command prints what stands below it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pages
import pytest
import servers

README = (servers.ROOT / "README.md").read_text()
STEPS = pages.steps(README)
WITHIN = 60.0


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Do in a fresh folder what `make run` does; return the folder and the two ports."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
    (folder / ".curlrc").write_text("silent\nshow-error\n")  # as at a terminal: no meter
    buffer, logic = servers.free_port(), servers.free_port()
    log = folder / "run.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [servers.BIN / "condstore", "demo", "--serve"],
            env={**os.environ, "SERVURL": f"127.0.0.1:{buffer}", "PORT": str(logic)},
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        servers.eventually(
            lambda: "Ctrl-C stops both" in log.read_text() or process.poll() is not None, WITHIN
        )
        assert process.poll() is None, log.read_text()
        yield folder, buffer, logic
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(WITHIN)


@pytest.fixture(scope="module")
def ran(made):
    """Run every command; return its exit status and what it printed, at the README's ports."""
    folder, buffer, logic = made
    environ = {
        "CONDSTORE_URL": f"http://localhost:{logic}",
        "DB_BURL": f"http://localhost:{buffer}/",
        "NO_COLOR": "1",
        "NO_PROXY": "localhost",
        "COLUMNS": "120",
        "CURL_HOME": str(folder),
    }
    commands = [placed(step.command, made) for step in STEPS]
    told = pages.run(commands, folder, environ, 3 * WITHIN)
    assert len(told) == len(STEPS)
    return [
        (status, said.replace(f":{logic}", ":5000").replace(f":{buffer}", ":8080"))
        for status, said in told
    ]


def placed(text, made):
    """Return commands or code of the page with the ports of this run."""
    _, buffer, logic = made
    return text.replace("localhost:5000", f"localhost:{logic}").replace(
        "localhost:8080", f"localhost:{buffer}"
    )


@pytest.mark.parametrize("at", range(len(STEPS)), ids=lambda at: STEPS[at].command[:50])
def test_a_command_does_what_the_page_shows(ran, at):
    """It ends well and prints these lines."""
    (status, said), step = ran[at], STEPS[at]
    assert status == 0, f"$ {step.command}\n{said}"
    assert step.agrees(said), f"$ {step.command}\n{said}--- the page says:\n{step.output}"


def test_the_python_of_the_page_runs(ran, made):
    """The job's example reads the payload that the commands above have stored."""
    folder = made[0]
    (code,) = pages.blocks(README, "python")
    done = subprocess.run(
        [sys.executable, "-c", placed(code, made)],
        cwd=folder, capture_output=True, text=True, timeout=WITHIN, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "b'{\"x\":1}\\n'\n"


def test_the_python_of_the_page_runs_offline(ran, made):
    """The comment beside the client's line is true: from the bundle it prints the same."""
    folder = made[0]
    (code,) = pages.blocks(README, "python")
    offline = re.search(r"# or (Client\.offline\(.*\))", code)
    assert offline is not None
    code = re.sub(r'Client\("http.*?\)\)', offline[1], code)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder, capture_output=True, text=True, timeout=WITHIN, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "b'{\"x\":1}\\n'\n"


def test_the_ten_lines_that_secure_it_do(tmp_path):
    """Both tiers ask who one is; the tokens that the page makes are taken, and nothing else."""
    servers_lines, client_lines = pages.blocks(README.partition("## Securing it")[2], "sh")
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    buffer, logic = servers.free_port(), servers.free_port()
    environ = {
        **{name: value for name, value in os.environ.items() if "TOKEN" not in name},
        "SERVURL": f"127.0.0.1:{buffer}",
        "PORT": str(logic),
        "NO_COLOR": "1",
        "CONDSTORE_URL": f"http://localhost:{logic}",
        "DB_BURL": f"http://localhost:{buffer}/",
        "PATH": f"{servers.BIN}{os.pathsep}{os.environ['PATH']}",
    }
    log = tmp_path / "run.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            ["bash", "-ec", servers_lines.replace("make run", "exec condstore demo --serve")],
            env=environ, cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        servers.eventually(
            lambda: "Ctrl-C stops both" in log.read_text() or process.poll() is not None, WITHIN
        )
        assert process.poll() is None, log.read_text()
        done = subprocess.run(
            ["bash", "-ec", f"{client_lines}\ncondstore verify\ncondstore tag create x"],
            env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=WITHIN, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "alice\n  by     API token" in done.stdout
        assert "nothing wrong" in done.stdout
        assert "who asks    good  alice, may admin:.*" in done.stdout
        stranger = subprocess.run(
            ["condstore", "tag", "create", "y"], env=environ, cwd=tmp_path,
            capture_output=True, text=True, timeout=WITHIN, check=False,
        )  # fmt: skip
        assert (stranger.returncode, "set CONDSTORE_TOKEN" in stranger.stderr) == (1, True)
        secrets = [path.read_text().strip() for path in (tmp_path / "secrets").iterdir()]
        assert len(secrets) == 4
        shown = log.read_text() + done.stdout + done.stderr
        assert not [secret for secret in secrets if secret in shown]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(WITHIN)
