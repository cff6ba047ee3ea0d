"""The disk of a replica's view is full: reads go on from what it has, and room mends it."""

from __future__ import annotations

import pytest
from load import ask
from servers import databuffer, eventually, logic
from small_disk import file_system

PATHS = ("/api/v1/global-tags", "/api/v1/payload-types", "/stats", "/livez", "/readyz", "/metrics")


@pytest.fixture
def small(tmp_path):
    """A small file system for the view; skip where mounting is not permitted."""
    with file_system(tmp_path, "view", 16 << 20) as disk:
        if disk is None:
            pytest.skip("mounting is not permitted here")
        yield disk


def make(url, name):
    """Create a tag; return the answer."""
    return ask("POST", f"{url}/api/v1/global-tags", {"name": name})


def tags(url):
    """Name all tags."""
    answer = ask("GET", f"{url}/api/v1/global-tags")
    assert answer.status == 200, answer
    return {tag["name"] for tag in answer.json["global_tags"]}


def test_reads_go_on_and_room_mends_it(tmp_path, small):
    """No worker dies; a write is not said to be done while the pod cannot show it; no restart."""
    with (
        databuffer(tmp_path) as buffer,
        logic(buffer.url, tmp_path, VIEW_PATH=str(small.point / "view.sqlite")) as tier,
    ):
        eventually(lambda: ask("GET", f"{tier.url}/readyz").json.get("writes"))
        assert make(tier.url, "before").status == 201
        small.fill()
        numbers = iter(range(1000))
        eventually(lambda: make(tier.url, f"{next(numbers)}" + "x" * 150).status == 503)
        refused = make(tier.url, "last")
        assert (refused.status, refused.json["code"]) == (503, "view_behind")
        for _ in range(5):  # both workers, and routes that were never counted before
            assert [ask("GET", tier.url + path).status for path in PATHS] == [200] * len(PATHS)
            assert ask("GET", f"{tier.url}/no/such/route").status == 404
            assert "before" in tags(tier.url)
            assert "last" not in tags(tier.url)
        small.free()
        eventually(lambda: "last" in tags(tier.url))  # what the ledger has is done
        assert make(tier.url, "after").status == 201
        log = tier.log.read_text()
        assert (
            "cannot follow the ledger, reads go on from the view: database or disk is full" in log
        )
        assert "was sent SIG" not in log
        assert "Traceback" not in log
