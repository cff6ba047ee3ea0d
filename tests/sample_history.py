"""The history that the kept samples tell: every type of ledger entry, as the real servers write it.

`tests/samples/README.md` says what the samples are for and how this was run.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from approvers import Lab, credential
from issuer import SECRET
from load import ask
from sample_answers import answers
from servers import databuffer, eventually, logic
from volume_oracle import LedgerReader

from datastore_logic.domain.events import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from load import Answer

TAGS = "/api/v1/global-tags"
CDB = "/api/cdb_rest"
WORDS = "Größe 磁場 🌍 \u202eright to left\u202c 'quoted' \"twice\" a\\b\ttab\nline\u2028separator"
KEPT = ("blobs", "ledger", "state")
DERIVED = ("index.sqlite*", "probe", "journal")


class History:
    """Acts one after the other on both tiers; each must succeed."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def begin(self) -> None:
        """Do what nobody can do where a freeze needs two."""
        self._do("POST", f"{CDB}/gt", {"name": "born-frozen", "status": "frozen"})
        self._do("POST", TAGS, {"name": "frozen-by-one"})
        self._do("POST", f"{TAGS}/frozen-by-one/iovs", {"iovs": [iov("Old", 1, None, "old")]})
        self._do("POST", f"{TAGS}/frozen-by-one/freeze", {"reason": WORDS})

    def go_on(self, *, compress: bool) -> None:
        """Live through the rest; if told so, compress the ledger in the midst of it."""
        self._tags()
        self._lists()
        self._iovs()
        self._tokens()
        self._freezes()
        if compress:
            done = ask("POST", f"{self._lab.buffer.url}/ledger/compress")
            assert done.json["segments"] > 2, done
        self._stream()
        self._first_form()

    def _do(
        self, method: str, path: str, body: Any = None, *, who: str = "alice", key: str = ""
    ) -> Answer:
        answer = self._lab.ask(who, method, path, body, key=key)
        assert 200 <= answer.status < 300, (method, path, answer)
        return answer

    def _tags(self) -> None:
        self._do("POST", TAGS, {"name": "O4", "description": WORDS, "author": "Åsa"}, key="k-1")
        self._do("POST", TAGS, {"name": "O4", "description": WORDS, "author": "Åsa"}, key="k-1")
        self._do("POST", TAGS, {"name": "empty"})
        self._do("POST", f"{CDB}/gt", {"name": "born-locked", "status": "locked"}, who="Zoë 東京")
        self._do("POST", f"{TAGS}/O4/lock", {"reason": WORDS}, who="bob")
        self._do("POST", f"{TAGS}/O4/unlock", {"reason": "mended"}, who="bob", key="unlock/2")
        self._do("DELETE", f"{TAGS}/empty")
        self._do("POST", TAGS, {"name": "empty", "description": "the name again"})

    def _lists(self) -> None:
        for kind in ("Beam", "Field", "Unused", "Pedestal"):
            self._do("POST", "/api/v1/payload-types", {"name": kind})
        self._do("DELETE", "/api/v1/payload-types/Unused")
        names = [
            self._do("POST", "/api/v1/payload-lists", {"payload_type": kind}).json["name"]
            for kind in ("Beam", "Beam", "Field", "Pedestal")
        ]
        for name in (names[0], names[1]):
            self._do("PUT", f"{TAGS}/O4/payload-lists/Beam", {"payload_list": name})
        self._do("PUT", f"{TAGS}/O4/payload-lists/Field", {"payload_list": names[2]})
        self._do("DELETE", f"{TAGS}/O4/payload-lists/Field")
        self._do("PUT", f"{TAGS}/O4/payload-lists/Field", {"payload_list": names[2]}, who="bob")
        self._do("DELETE", f"/api/v1/payload-lists/{names[3]}")
        self._beam = names[1]

    def _iovs(self) -> None:
        digest = self._do("POST", "/api/v1/payloads", b"the bytes of a payload").json["digest"]
        whole = iov("Beam", 0, 1000, "beam-long", checksum="md5:1", size=9, revision=2)
        self._do("POST", f"{TAGS}/O4/iovs", {"iovs": [whole]}, key="one")
        # What is trimmed, what is split in two, what is covered whole; then several types at once.
        self._do("POST", f"{TAGS}/O4/iovs", {"iovs": [iov("Beam", 900, 1100, "beam-trims")]})
        self._do("POST", f"{TAGS}/O4/iovs", {"iovs": [iov("Beam", 400, 500, "beam-splits")]})
        self._do("POST", f"{TAGS}/O4/iovs", {"iovs": [iov("Beam", 390, 510, "beam-covers")]})
        many = [iov(f"Type{n % 2}", 10 * n, 10 * n + 25, f"größe-{n}") for n in range(20)]
        many.append({"payload_type": "Field", "start": [5, 7], "digest": digest})
        self._do("POST", f"{TAGS}/O4/iovs", {"iovs": many}, who="bob", key="bulk")
        sent = {"payload_url": "b/单.root", "checksum": "e99a", "major_iov": 600, "minor_iov": 1}
        for end in ({"major_iov_end": 650, "minor_iov_end": 0}, {}):
            made = self._do("POST", f"{CDB}/piov", {**sent, **end}).json["id"]
            told = {"payload_list": self._beam, "piov_id": made}
            self._do("PUT", f"{CDB}/piov_attach", told)
            sent |= {"major_iov": 2000}
        self._do("POST", f"{CDB}/piov", {**sent, "payload_url": "in no list"})
        query = "?major=900&minor=0&major_end=1100&minor_end=0"
        self._do("DELETE", f"{TAGS}/O4/payload-lists/Beam/iovs{query}")
        stream = "/stream?type=Blob&major=3&minor=4&major_end=9&tag=O4&name=streamed"
        self._do("POST", stream, b"bytes of any kind")

    def _tokens(self) -> None:
        grants = [{"role": "editor", "tags": "O4.*"}, {"role": "reader", "tags": ".*"}]
        made = self._do("POST", "/api/v1/tokens", {"name": "nightly", "grants": grants}).json
        body = {"iovs": [iov("Beam", 3000, None, "by a token")]}
        self._do("POST", f"{TAGS}/O4/iovs", body, who=made["token"], key="by-token")
        self._do("POST", "/api/v1/tokens", {"name": "stays", "grants": grants[1:]}, who="bob")
        self._do("DELETE", f"/api/v1/tokens/{made['id']}")

    def _freezes(self) -> None:
        lsn = self._do("POST", f"{TAGS}/O4/clone", {"name": "campaign", "description": "c"}).lsn
        self._do("POST", f"{TAGS}/campaign/freeze", {"reason": "withdrawn soon"})
        self._do("DELETE", f"{TAGS}/campaign/freeze?reason=too%20early", who="bob")
        self._do("POST", f"{TAGS}/campaign/freeze", {"reason": WORDS}, key="freeze-1")
        frozen = self._do("POST", f"{TAGS}/campaign/freeze", who="bob").json["fingerprint"]
        self._do("POST", f"{TAGS}/campaign@{frozen}/clone", {"name": "of-frozen"})
        self._do("POST", f"{TAGS}/O4@{lsn - 3}/clone", {"name": "of-past"})
        self._do("POST", f"{TAGS}/campaign/unfreeze", {"reason": "a wrong payload"})
        query = "?major=390&minor=0&major_end=510&minor_end=0"
        self._do("DELETE", f"{TAGS}/campaign/payload-lists/Beam/iovs{query}")
        for who in ("bob", "Zoë 東京"):
            self._do("POST", f"{TAGS}/campaign/freeze", {"reason": "again"}, who=who)
        self._do("POST", f"{TAGS}/campaign/clone", {"name": "deleted"})
        self._do("DELETE", f"{TAGS}/deleted", who="bob")

    def _stream(self) -> None:
        for start, samples in ((100, 4), (102, 4), (101, 2)):
            self._do("POST", "/stream?type=H1:STRAIN", segment(start, samples))
        self._do("POST", "/freezeds", {"user": "Jürgen", "token": "secret"})
        self._do("POST", "/flushbuf")
        for start in (200, 202, 204):
            self._do("POST", "/stream", segment(start, 4), key=f"segment-{start}")
        self._do("POST", f"{TAGS}/stream/clone", {"name": "of-stream"})

    def _first_form(self) -> None:
        """Write the entry which the first versions wrote, as they did."""
        attached = {
            "start": [[5000, 0], [5002, 1]], "end": [[5001, 0], None],
            "name": ["first", "form"], "checksum": [None, "md5:2"], "digest": [None, None],
            "size": [None, 7],
        }  # fmt: skip
        told = {"tag": "O4", "payload_type": "Beam", "attached": attached, "detached": []}
        told["trimmed"] = [[[3000, 0], [5000, 0]]]
        entry = {"type": "iovs.changed", "actor": "alice", "data": told, "keys": ["tag/O4"]}
        entry["idempotency_key"] = "größe/κλειδί"
        answer = ask("POST", f"{self._lab.buffer.url}/ledger", entry)
        assert answer.status == 201, answer
        lsn = {"X-Min-LSN": str(answer.lsn)}
        assert ask("GET", f"{self._lab.pods[0].url}{TAGS}/O4", None, lsn).status == 200


def iov(kind: str, start: int, end: int | None, name: str, **told: Any) -> dict[str, Any]:
    """Return a payload IOV as it is sent."""
    bounds = {"start": [start, 0], "end": None if end is None else [end, 0]}
    return {"payload_type": kind, "name": name, **bounds, **told}


def segment(start: int, samples: int) -> bytes:
    """Return a streamed segment of half seconds."""
    return json.dumps({"h": [start / 7] * samples, "t": [start, 0.5]}).encode()


@contextmanager
def served(folder: Path, approvals: str = "2") -> Iterator[Lab]:
    """Run both tiers on `folder/volume`, which has small segments."""
    told = {"JWT_SECRET": SECRET, "FREEZE_APPROVALS": approvals, "MAX_SIZE": "1"}
    small = databuffer(folder, LEDGER_SEGMENT_BYTES="4096")
    with small as buffer, logic(buffer.url, folder, **told) as pod:
        eventually(lambda: ask("GET", f"{pod.url}/readyz").json.get("writes"))
        yield Lab(buffer, [pod])
        assert buffer.stop() == 0


def keep(target: Path, *, compress: bool) -> None:
    """Live through the history and keep the volume and what it answers in a new directory."""
    with tempfile.TemporaryDirectory() as folder:
        with served(Path(folder), approvals="1") as lab:
            History(lab).begin()
        with served(Path(folder)) as lab:
            History(lab).go_on(compress=compress)
            told = answers(lab.pods[0].url, credential("alice"))
        volume = Path(folder) / "volume"
        for name in KEPT:
            leave = shutil.ignore_patterns(*DERIVED)
            shutil.copytree(volume / name, target / "volume" / name, ignore=leave)
    lines = LedgerReader(target / "volume" / "ledger").lines()
    written = {json.loads(line)["type"] for line in lines}
    assert written == set(KINDS), set(KINDS) ^ written
    each = (f"{dumped(path)}: {dumped(answer)}" for path, answer in told.items())
    (target / "answers.json").write_text("{\n" + ",\n".join(each) + "\n}\n")


def dumped(value: Any) -> str:
    """Return JSON on one line."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


if __name__ == "__main__":
    keep(Path(sys.argv[1]), compress="compress" in sys.argv[2:])
