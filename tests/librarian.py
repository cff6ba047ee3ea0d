"""Somebody who does anything to tags, and writes down what each of them answers after each act."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from random import Random

    from logic_pair import Pair

TAGS = ("ALPHA", "BETA", "GAMMA", "DELTA")
TYPES = ("Beam", "Align")
SPAN = 24
MOMENTS = [[major, minor] for major in range(0, SPAN + 4, 3) for minor in (0, 500_000_000)]
UNDERSTOOD = {200, 201, 400, 404, 409, 503}
COUNTS = ("payload_list_count", "payload_iov_count")


def asked(url: str, both: Pair, ref: str, lsn: int) -> Any:
    """Return all that a reference answers, None if there is no such tag."""
    headers = {"X-Min-LSN": str(lsn)}
    path = f"{url}/api/v1/global-tags/{ref}"
    described = both.http.request("GET", path, headers=headers)
    if described.status == 404:
        return None
    assert described.status == 200, described.data
    body = json.dumps({"moments": MOMENTS})
    resolved = both.http.request("POST", f"{path}/resolve", body=body, headers=headers)
    assert resolved.status == 200, resolved.data
    return _comparable(described.json()), resolved.json()


def _comparable(described: dict[str, Any]) -> dict[str, Any]:
    """Return a description without what is not known of earlier LSNs.

    That is how many IOVs there were, and, single segments being no acts, when the last one came.
    """
    for name in (*COUNTS, *(("lsn", "updated") if described["streamed"] else ())):
        described.pop(name)
    for held in described["payload_lists"]:
        held.pop("payload_iovs")
    return described


def held(answers: Any) -> Any:
    """Return what holds at each moment, without from which LSN that is known."""
    return [{**one, "lsn": None} for one in answers[1]["resolutions"]]


@dataclass
class Librarian:
    """Somebody who does anything to tags, and writes down what they answer."""

    both: Pair
    chance: Random
    serial: Any = field(default_factory=lambda: itertools.count(1))
    kept: dict[tuple[int, str], Any] = field(default_factory=dict)
    frozen: dict[str, Any] = field(default_factory=dict)
    acts: int = 0
    done: dict[str, int] = field(default_factory=dict)
    detached: list[str] = field(default_factory=list)

    def act(self) -> None:
        """Do something; whether it is allowed or not, nothing may break."""
        self.acts += 1
        name = self.chance.choice(ACTIONS)
        answer = getattr(self, name)(self.chance.choice(TAGS))
        if answer is not None:
            assert answer.status in UNDERSTOOD, (name, answer.status, answer.data)
            if answer.status in {200, 201}:
                self.done[name] = self.done.get(name, 0) + 1

    def keep(self) -> None:
        """Write down what every tag answers now."""
        lsn = self.both.http.request("GET", f"{self.both.buffer.url}/ledger/head").json()["lsn"]
        if any(known == lsn for known, _ in self.kept):
            return
        listed = self.both.get("/api/v1/global-tags", X_Min_LSN=str(lsn))["global_tags"]
        for name in sorted({*TAGS, "stream", *(tag["name"] for tag in listed)}):
            answers = self.kept[lsn, name] = asked(self.both.logic.url, self.both, name, lsn)
            if answers and answers[0]["state"] == "frozen":
                self.frozen.setdefault(f"{name}@{answers[0]['fingerprint']}", held(answers))

    def compare(self, url: str, lsn: int, name: str) -> None:
        """Ask for an earlier LSN what was asked then."""
        assert asked(url, self.both, f"{name}@{lsn}", lsn) == self.kept[lsn, name], (lsn, name)

    # what may be done

    def create(self, tag: str) -> Any:
        """Make a tag, perhaps one of a name that was deleted."""
        words = {"name": tag, "description": f"made {next(self.serial)}", "author": "ann"}
        return self._post("/api/v1/global-tags", words)

    def bulk(self, tag: str) -> Any:
        """Insert a few IOVs of both types at once."""
        rows = [
            {"payload_type": self.chance.choice(TYPES), "name": f"bulk-{next(self.serial)}"}
            | self._interval()
            for _ in range(self.chance.randrange(1, 6))
        ]
        return self._post(f"/api/v1/global-tags/{tag}/iovs", {"iovs": rows})

    def payload(self, tag: str) -> Any:
        """Store a payload with its interval."""
        interval = self._interval()
        query = {"tag": tag, "type": self.chance.choice(TYPES), "major": interval["start"][0]}
        query["minor"] = interval["start"][1]
        if interval["end"] is not None:
            query |= {"major_end": interval["end"][0], "minor_end": interval["end"][1]}
        return self.both.post(f"/stream?{urlencode(query)}", b"payload %d" % next(self.serial))

    def delete_iov(self, tag: str) -> Any:
        """Delete one of the IOVs there are."""
        path = f"/api/v1/global-tags/{tag}/payload-lists/{self.chance.choice(TYPES)}/iovs"
        listed = self.both.ask("GET", path)
        if listed.status != 200 or not (rows := listed.json()["iovs"]):
            return None
        row = self.chance.choice(rows)
        query = dict(zip(("major", "minor"), row["start"], strict=True))
        if row["end"] is not None:
            query |= dict(zip(("major_end", "minor_end"), row["end"], strict=True))
        return self.both.ask("DELETE", f"{path}?{urlencode(query)}")

    def clone(self, tag: str) -> Any:
        """Clone a tag as it is or as it was, perhaps the streamed one."""
        source = self.chance.choice([*TAGS, "stream"])
        earlier = [f"{name}@{lsn}" for (lsn, name), answers in self.kept.items() if answers]
        if earlier and self.chance.random() < 0.5:
            source = self.chance.choice(earlier)
        return self._post(f"/api/v1/global-tags/{source}/clone", {"name": tag})

    def lock(self, tag: str) -> Any:
        """Lock a tag."""
        return self._post(f"/api/v1/global-tags/{tag}/lock", {})

    def unlock(self, tag: str) -> Any:
        """Unlock a tag."""
        return self._post(f"/api/v1/global-tags/{tag}/unlock", {})

    def freeze(self, tag: str) -> Any:
        """Freeze a tag."""
        return self._post(f"/api/v1/global-tags/{tag}/freeze", {})

    def unfreeze(self, tag: str) -> Any:
        """Unfreeze a tag."""
        return self._post(f"/api/v1/global-tags/{tag}/unfreeze", {"reason": "wrong payload"})

    def delete(self, tag: str) -> Any:
        """Delete a tag; its name may be used again."""
        return self.both.ask("DELETE", f"/api/v1/global-tags/{tag}")

    def detach(self, tag: str) -> Any:
        """Take a list out of a tag."""
        path = f"/api/v1/global-tags/{tag}"
        described = self.both.ask("GET", path)
        if described.status != 200 or not (lists := described.json()["payload_lists"]):
            return None
        held = self.chance.choice(lists)
        answer = self.both.ask("DELETE", f"{path}/payload-lists/{held['payload_type']}")
        if answer.status == 200:
            self.detached.append(held["name"])
        return answer

    def attach(self, tag: str) -> Any:
        """Put a list that was taken out into a tag, perhaps in the place of another."""
        if not self.detached:
            return None
        name = self.detached.pop()
        path = f"/api/v1/global-tags/{tag}/payload-lists/{name.rpartition('_')[0]}"
        return self.both.ask("PUT", path, json.dumps({"payload_list": name}))

    def segment(self, _tag: str) -> Any:
        """Stream a segment of two seconds."""
        start = self.chance.randrange(SPAN)
        body = json.dumps({"h": [next(self.serial), 1, 2, 3], "t": [start, 0.5]})
        return self.both.post(f"/stream?type={self.chance.choice(TYPES)}", body)

    def freeze_stream(self, _tag: str) -> Any:
        """Freeze the streaming buffer."""
        return self._post("/freezeds", {"user": "ann", "token": "t"})

    def clean(self, _tag: str) -> Any:
        """Archive what was streamed."""
        return self.both.post("/flushbuf")

    def _post(self, path: str, body: Any) -> Any:
        return self.both.post(path, json.dumps(body), Content_Type="application/json")

    def _interval(self) -> dict[str, Any]:
        start = self.chance.randrange(SPAN)
        length = self.chance.choice((1, 2, 5, 12, None))
        end = None if length is None else [start + length, self.chance.choice((0, 500_000_000))]
        return {"start": [start, 0], "end": end}


ACTIONS = (
    *("bulk", "payload", "delete_iov", "clone", "unlock", "delete") * 3,
    *("create", "segment", "unfreeze", "detach", "attach") * 2,
    *("lock", "freeze", "freeze_stream", "clean"),
)
