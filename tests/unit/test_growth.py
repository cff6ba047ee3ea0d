"""The soak's verdict: it sees a leak, and takes neither noise nor a spike for one."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from growth import Allowance, Watch, held, judged
from load import seeded

SECONDS = 600
ALLOWED = Allowance(by=2.0, part=0.02)


def series(value):
    """Return a sample a second of what `value` is then, warm-up included."""
    return [(float(at), value(at)) for at in range(SECONDS)]


def sawtooth(at):
    """Return a memory that fills and is collected, as one that leaks nothing."""
    return 100 + at % 37 / 3


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("still", lambda at: 100.0),
        ("collected", sawtooth),
        ("warming up", lambda at: min(100.0, 20 + at / 2)),
        ("a spike", lambda at: 100.0 + 500 * (at == 500)),
        ("a step", lambda at: 100.0 + 8 * (at > 560)),
        ("shrinking", lambda at: 100 - at / 100),
        ("noise", lambda at: 100 + seeded(at).gauss(0, 5)),
    ],
)
def test_what_does_not_grow_is_not_accused(what, value):
    """Noise, a spike, a late step, and what fills while it warms up."""
    assert not judged(what, series(value), ALLOWED).grew


@pytest.mark.parametrize("leak", [0.01, 0.1, 10.0], ids=str)
def test_a_leak_is_seen_through_the_noise(leak):
    """A hundredth of a MiB a second, under a sawtooth of twelve: found by its slope."""
    verdict = judged("leak", series(lambda at: sawtooth(at) + leak * at), ALLOWED)
    assert verdict.grew
    assert verdict.growth == pytest.approx(0.6 * SECONDS * leak, rel=0.35)
    assert "GREW" in str(verdict)


def test_a_growing_process_is_caught():
    """A real one, that keeps what it makes and never closes what it opens."""
    leaking = "import time\nheld = []\nprint(flush=True)\n"
    leaking += "while True: held.append((bytearray(1 << 20), open('/dev/null'))); time.sleep(0.01)"
    process = subprocess.Popen([sys.executable, "-c", leaking], stdout=subprocess.PIPE, text=True)
    try:
        process.stdout.readline()
        watch = Watch(lambda: held("leaking", process.pid), 0.02)
        with watch.watching():
            deadline = time.monotonic() + 20
            while len(watch.series.get("leaking threads", ())) < 25:
                assert time.monotonic() < deadline
                time.sleep(0.02)
    finally:
        process.kill()
        process.communicate()
    grew = {verdict.name for verdict in watch.verdicts(lambda _: Allowance(5)) if verdict.grew}
    assert grew == {"leaking memory MiB", "leaking descriptors"}
