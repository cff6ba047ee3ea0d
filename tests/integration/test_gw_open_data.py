"""The GW producer and the open data archive: what it asks, which files it takes, what it says.

A real HTTP server stands in for the archive; it speaks the shape of its API (version 2).
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from gw_producer import (
    GPS,
    RATE,
    expected,
    noise,
    open_data,
    produce,
    segment_files,
    stored,
)
from logic_pair import pair

EVENT = "GW150914"
SHORT, LONG = f"L-L1_GWOSC_4KHZ_R1-{GPS}-8.hdf5", f"L-L1_GWOSC_4KHZ_R1-{GPS - 8}-24.hdf5"
RUN = f"L-L1_GWOSC_O1_4KHZ_R1-{GPS - 16}-40.hdf5"


class Archive:
    """What the stand-in has, what it was asked, and what goes wrong with it."""

    def __init__(self, folder):
        self.samples = noise(RATE * 40)  # from GPS - 16
        self.folder = folder
        for name, begin, seconds in ((SHORT, 16, 8), (LONG, 8, 24), (RUN, 0, 40)):
            piece = self.samples[begin * RATE : (begin + seconds) * RATE]
            open_data(folder / name, piece, start=GPS - 16 + begin)
        self.asked = []
        self.broken = 0
        self.url = ""

    def answer(self, path, query):
        """Return the JSON at a path of the API, None where there is none."""
        event = f"/api/v2/event-versions/{EVENT}"
        if path == event:
            return {"name": EVENT, "gps": GPS + 4.4, "run": "O1"}
        if path == f"{event}/strain-files":
            assert query["sample-rate"] == ["4"]
            assert query["file-format"] == ["hdf"]
            files = [SHORT, LONG] if query["detector"] == ["L1"] else []
            return self._page([{"download_url": f"{self.url}/files/{name}", **span(name)}
                               for name in files])  # fmt: skip
        if path == "/api/v2/runs/O1/strain-files":
            files = [RUN] if query["detector"] == ["L1"] else []
            return self._page([{"hdf5_url": f"{self.url}/files/{name}", **span(name)}
                               for name in files])  # fmt: skip
        return None

    def _page(self, results):
        return {"results": results, "num_pages": 1, "next": None}

    def got(self, name):
        """Return how often a file was fetched."""
        return sum(path == f"/files/{name}" for path in self.asked)


def span(name):
    """Return the times in a file's name as the API tells them."""
    start, length = name.removesuffix(".hdf5").split("-")[-2:]
    return {"gps_start": int(start), "duration": int(length), "detector": "L1"}


class Handler(BaseHTTPRequestHandler):
    """HTTP over an archive."""

    archive: Archive

    def do_GET(self):
        """Answer JSON or a file; a broken one ends in the middle."""
        parts = urlsplit(self.path)
        self.archive.asked.append(parts.path)
        if parts.path.startswith("/files/"):
            body = (self.archive.folder / parts.path.removeprefix("/files/")).read_bytes()
            self._send(200, body)
            return
        told = self.archive.answer(parts.path, parse_qs(parts.query))
        self._send(200 if told else 404, json.dumps(told or {"detail": "Not found."}).encode())

    def _send(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.archive.broken and self.path.startswith("/files/"):
            self.archive.broken -= 1
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def serving(handler):
    """Serve on a free port; yield the URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def archive(tmp_path):
    """Run the stand-in for the archive."""
    folder = tmp_path / "archive"
    folder.mkdir()
    found = Archive(folder)
    with serving(type("Mine", (Handler,), {"archive": found})) as url:
        found.url = url
        yield found


@pytest.fixture
def both(tmp_path):
    """Run both tiers."""
    with pair(tmp_path) as running:
        yield running


@pytest.fixture
def here(tmp_path):
    """Return the folder that the producer runs in."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def told(both, archive, **more):
    """Return the environment of a producer that takes open data."""
    return {
        "SRV": f"{both.logic.url}/streamdata", "GWOSC_SERVER_URL": archive.url,
        "GWID": EVENT, "DTCID": "L1", "INF": "-0.5", "SUP": "0.25",
    } | more  # fmt: skip


def around(archive, inf, sup):
    """Return the samples in [event + inf, event + sup) by their time."""
    everything = expected(archive.samples, GPS - 16)
    event = GPS + 4.4
    return {t: x for t, x in everything.items() if event + inf <= float(t) < event + sup}


@pytest.mark.parametrize(
    ("inf", "sup", "name"),
    [(-0.5, 0.25, SHORT), (-6.0, -5.0, LONG), (2.0, 4.5, LONG), (-15.0, -14.0, RUN)],
)
def test_the_shortest_file_that_has_it_all_is_taken(both, archive, here, tmp_path, inf, sup, name):
    """INF and SUP are added to the event's time; the run's files are the last resort."""
    produce(here, **told(both, archive, INF=str(inf), SUP=str(sup)))
    assert stored(segment_files(tmp_path / "volume")) == around(archive, inf, sup)
    assert [path for path in archive.asked if path.startswith("/files/")] == [f"/files/{name}"]
    held = both.get("/api/v1/global-tags/stream")
    assert [row["payload_type"] for row in held["payload_lists"]] == ["L1:GWOSC-STRAIN"]


def test_what_was_fetched_is_kept(both, archive, here, tmp_path):
    """The next three segments ask the archive for the event, not for its file."""
    assert f"fetching {archive.url}/files/{SHORT}" in produce(here, "--once", **told(both, archive))
    for _ in range(2):
        assert "fetching" not in produce(here, "--once", **told(both, archive))
    assert archive.got(SHORT) == 1
    assert both.get("/stats")["n_itm"] == 9
    produce(here, **told(both, archive))
    assert stored(segment_files(tmp_path / "volume")) == around(archive, -0.5, 0.25)


def test_a_download_that_breaks_off_is_begun_again(both, archive, here, tmp_path):
    """Half a file gets no name, and nothing of it is streamed."""
    archive.broken = 2
    produce(here, **told(both, archive))
    assert archive.got(SHORT) == 3
    assert [path.name for path in (here / "open-data").iterdir()] == [SHORT]
    assert stored(segment_files(tmp_path / "volume")) == around(archive, -0.5, 0.25)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"GWID": "GW999999"}, "the open data have no event GWID=GW999999"),
        ({"DTCID": "V1"}, "have no V1 strain over all of GPS"),
        ({"SUP": "100"}, "choose another DTCID, or INF and SUP nearer to GW150914 at GPS"),
        ({"DTCID": ""}, "set GWID (an event's name), DTCID, INF and SUP"),
        ({"GWID": "1126259462.4"}, "set GWID (an event's name)"),
        ({"INF": "", "SUP": ""}, "set GWID (an event's name)"),
    ],
)
def test_what_the_archive_has_not_is_said_in_one_line(both, archive, here, more, words):
    """Exit 2, and nothing is streamed nor remembered."""
    said = produce(here, expect=2, **told(both, archive, **more))
    *asking, refusal = said.splitlines()
    assert words in refusal
    assert asking in ([], [f"gw: asking the open data archive for {more.get('GWID', EVENT)}"])
    assert both.get("/stats")["n_itm"] == 0
    assert not (here / "lastrd.txt").exists()


def test_without_the_archive_it_says_what_to_give_instead(both, archive, here):
    """No network is exit 3; another service there is exit 1."""
    away = told(both, archive, GWOSC_SERVER_URL="http://127.0.0.1:9")
    said = produce(here, expect=3, **away)
    assert "the open data archive cannot be reached" in said
    assert "GWID=<GPS seconds> python -m condstore.gw FILE" in said
    other = told(both, archive, GWOSC_SERVER_URL=f"{both.logic.url}/?")
    assert "does not speak as it does" in produce(here, expect=1, **other)


def test_without_gwosc_it_says_what_to_install(both, archive, here):
    """Nothing of it is imported before it is needed."""
    (here / "gwosc").mkdir()
    (here / "gwosc" / "__init__.py").write_text("raise ImportError('not installed')\n")
    said = produce(here, expect=2, PYTHONPATH=str(here), **told(both, archive))
    assert "pip install 'condstore[demo]'" in said
    open_data(here / "L1.hdf5", noise(1000))
    without = told(both, archive, INF="", SUP="", PYTHONPATH=str(here))
    produce(here, "L1.hdf5", **without)
    assert both.get("/stats")["n_itm"] == 4


def test_a_local_file_needs_the_archive_only_for_an_events_time(both, archive, here):
    """GWID as a number asks nobody."""
    open_data(here / "L1.hdf5", noise(RATE), start=GPS + 4)
    produce(here, "L1.hdf5", **told(both, archive, GWID=str(GPS + 4.5), INF="-0.1", SUP="0.1"))
    assert archive.asked == []
    produce(here, "L1.hdf5", "--position", "event.txt", **told(both, archive, INF="0", SUP="0.1"))
    assert archive.asked == [f"/api/v2/event-versions/{EVENT}"]
