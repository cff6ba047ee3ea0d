"""Contract C when something fails: each failure keeps its status, and never looks like FROZEN."""

import json

import pytest
from load import ask, at_once
from logic_pair import Pair, pair
from long import at_length
from servers import databuffer, eventually, logic
from small_disk import injected

SEGMENT = '{"h":[1.0,2.5,-3e-21],"t":[968654552.25,0.25]}'
WHO = '{"user":"alice","token":"s3cret"}'
POSTS = {"/train": WHO, "/streamdata": SEGMENT, "/cleanbuf": '{"msg":"flush"}'}
READS = ("/stats", "/dumpbuf", "/desc")


def test_while_the_databuffer_is_away_reads_go_on_and_writes_say_error(tmp_path):
    """Reads are from the view and say so; a write is a 503 with Retry-After, not FROZEN."""
    with pair(tmp_path, MAX_SIZE="1") as both:
        assert both.post("/streamdata", SEGMENT).json()["resp"] == "CREATED"
        eventually(lambda: both.get("/readyz")["applied_lsn"] >= 1)
        before = {path: both.get(path) for path in READS}
        both.buffer.kill()
        eventually(lambda: both.get("/readyz")["databuffer"] == "away")
        for path in READS:
            told = both.ask("GET", path)
            assert (told.status, told.json()) == (200, before[path])
            assert told.headers["X-Databuffer"] == "away"
        for path, body in POSTS.items():
            refused = both.post(path, body)
            assert refused.status == 503, path
            assert int(refused.headers["Retry-After"]) >= 1
            told = refused.json()
            assert (told["resp"], told["code"]) == ("ERROR", "databuffer_away")
            assert told["body"] == told["detail"]
        assert both.post("/train", "{}").status == 422, "what is malformed is so whoever is away"
        both.buffer.restart()
        both.settle()
        assert both.post("/train", WHO).json()["resp"] == "FROZEN"


def test_a_full_volume_is_told_apart(tmp_path):
    """507 for streaming and freezing, FS ERR for cleaning; with space again all is as before."""
    with injected(tmp_path) as disk:
        disk.running.start()
        try:
            with logic(disk.running.url, tmp_path, MAX_SIZE="1") as tier:
                both = Pair(disk.running, tier)
                both.settle()
                assert both.post("/streamdata", SEGMENT).json()["resp"] == "CREATED"
                size = both.get("/stats")
                disk.fill()
                for path in ("/streamdata", "/train"):
                    refused = both.post(path, POSTS[path])
                    assert refused.status == 507, path
                    told = refused.json()
                    assert (told["resp"], told["code"]) == ("ERROR", "ERRIO")
                cleaned = both.post("/cleanbuf", POSTS["/cleanbuf"])
                assert cleaned.status == 200
                assert cleaned.json() == {"resp": "FS ERR", "body": "Fs error detected"}
                assert both.get("/stats") == size
                assert both.get("/desc") == {"resp": "OPERATIONAL"}
                disk.free()
                assert both.post("/train", WHO).json()["resp"] == "FROZEN"
                assert both.post("/cleanbuf", POSTS["/cleanbuf"]).json()["resp"] == "CLEANED"
        finally:
            disk.running.kill()


@pytest.mark.parametrize("seed", range(at_length(1, 3)))
def test_nothing_is_created_after_train_said_frozen(tmp_path, seed):
    """Twelve streamers and four trainers at once: the figures are those of what was created."""
    with (
        databuffer(tmp_path) as buffer,
        logic(buffer.url, tmp_path, name="one", MAX_SIZE=str(3000 + 500 * seed)) as one,
        logic(buffer.url, tmp_path, name="two", MAX_SIZE=str(3000 + 500 * seed)) as two,
    ):
        urls = (one.url, two.url)
        for url in urls:
            eventually(lambda url=url: ask("GET", f"{url}/readyz").json.get("writes"))

        def stream(number):
            """Stream until FROZEN; return the bytes created."""
            created = []
            for serial in range(1000):
                body = json.dumps(
                    {"h": [1.5] * (1 + serial % 5), "t": [number * 5000 + serial, 0.1]}
                )
                answer = ask("POST", f"{urls[serial % 2]}/streamdata", body.encode())
                assert answer.status == 200, answer
                if answer.json["resp"] == "FROZEN":
                    return created
                assert answer.json["resp"] == "CREATED"
                created.append(len(body))
            raise AssertionError("nobody froze")

        def train(number):
            """Ask until FROZEN; return the figures."""
            for _ in range(2000):
                answer = ask("POST", f"{urls[number % 2]}/train", WHO.encode())
                assert answer.status == 200, answer
                if answer.json["resp"] == "FROZEN":
                    return answer.json
            raise AssertionError("never full")

        done = at_once(16, lambda number: stream(number) if number < 12 else train(number))
        created = [size for part in done[:12] for size in part]
        figures = {"resp": "FROZEN", "n_f": len(created), "bt_wrt": sum(created)}
        assert done[12:] == [figures] * 4
        for url in urls:
            stats = {"n_itm": len(created), "buff_size": sum(created)}
            assert ask("GET", f"{url}/stats").json == stats
            assert len(ask("GET", f"{url}/dumpbuf").json["nmlist"]) == len(created)
            assert ask("POST", f"{url}/train", WHO.encode()).json == figures
