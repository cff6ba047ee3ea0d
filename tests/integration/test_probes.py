"""What the images ask for their health: `python -m databuffer.probe`, `… datastore_logic.probe`."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from certificates import issue
from servers import ROOT, databuffer, logic


def probed(tier, package):
    """Ask as the image of a running tier does; return the exit status and the lines printed."""
    done = subprocess.run(
        [sys.executable, "-m", f"{package}.probe"],
        env={**os.environ, **tier.environ},
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).splitlines()


@pytest.mark.parametrize("with_tls", [False, True])
def test_a_tier_is_alive_until_it_is_stopped(tmp_path, with_tls):
    """Over TLS too, whomever the certificate names; then it says in one line that it is not."""
    known, other = issue(tmp_path / "known"), issue(tmp_path / "other", "elsewhere.example")
    trust = {"BUFFER_CA": str(known.ca)} if with_tls else {}
    with (
        databuffer(tmp_path, **(tls(known) if with_tls else {})) as buffer,
        logic(buffer.url, tmp_path, workers=1, **trust, **(tls(other) if with_tls else {})) as tier,
    ):
        for running, package in ((tier, "datastore_logic"), (buffer, "databuffer")):
            assert probed(running, package) == (0, [])
            running.kill()
            status, (line,) = probed(running, package)
            assert status == 1
            assert line.startswith(f"{package}: not alive: ")


def tls(pair):
    """Return the variables that name a certificate and its key."""
    return {"TLS_CERT": str(pair.certificate), "TLS_KEY": str(pair.key)}
