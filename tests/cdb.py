"""A client of `/api/cdb_rest` as simple as nopayloaddb's own, for the tests of that contract."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from logic_pair import Pair, pair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from urllib3 import BaseHTTPResponse

OPEN = 2**63 - 1
NUMBERS = count(1)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")


def ways(*paths: str) -> list[str]:
    """Return each path with and without a slash at its end."""
    return [way for path in paths for way in (path.rstrip("/"), f"{path.rstrip('/')}/")]


def fresh(word: str) -> str:
    """Return a name that no other test uses."""
    return f"{word}-{next(NUMBERS)}"


@dataclass
class Cdb:
    """Both tiers, running; requests go to this contract."""

    both: Pair

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> BaseHTTPResponse:
        """Send a request with a JSON body, if there is one; bytes are sent as they are."""
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
        return self.both.ask(method, f"/api/cdb_rest/{path}", sent, **headers)

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON of a request that must succeed, which is 200 whatever it does."""
        answer = self.ask(method, path, body)
        assert answer.status == 200, (answer.status, answer.data)
        assert answer.headers["Content-Type"] == "application/json"
        return answer.json()

    def get(self, path: str) -> Any:
        """Return what a read answers."""
        return self.ok("GET", path)

    def refused(self, status: int, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Return the body of a refusal that this contract's clients understand."""
        answer = self.ask(method, path, body)
        assert answer.status == status, (answer.status, answer.data)
        assert answer.headers["Content-Type"] == "application/json"
        assert "Location" not in answer.headers
        told = answer.json()
        if "name" in told:
            assert [type(word) for word in told["name"]] == [str]
        else:
            assert isinstance(told["detail"], str)
            assert told["detail"]
        return told

    def tag(self, name: str, *types: str) -> dict[str, str]:
        """Make an unlocked tag with an empty list of each type; return the lists' names."""
        self.ok("POST", "gt", {"name": name, "status": "unlocked"})
        for kind in types:
            self.ask("POST", "pt", {"name": kind})
            held = self.ok("POST", "pl", {"payload_type": kind})["name"]
            self.ok("PUT", "pl_attach", {"global_tag": name, "payload_list": held})
        return self.get(f"gtPayloadLists/{name}")

    def become(self, name: str, status: str) -> None:
        """Change a tag's status."""
        self.ok("PUT", f"gt_change_status/{name}/{status}")

    def piov(self, url: str, start: tuple[int, int], end: tuple[int, int] | None = None) -> int:
        """Make a payload IOV in no list and return its id."""
        sent = {"payload_url": url, "checksum": url, "major_iov": start[0], "minor_iov": start[1]}
        if end is not None:
            sent |= {"major_iov_end": end[0], "minor_iov_end": end[1]}
        return self.ok("POST", "piov", sent)["id"]

    def insert(
        self, held: str, url: str, start: tuple[int, int], end: tuple[int, int] | None = None
    ) -> int:
        """Make a payload IOV, attach it to a list and return its id."""
        iov_id = self.piov(url, start, end)
        self.ok("PUT", "piov_attach", {"payload_list": held, "piov_id": iov_id})
        return iov_id

    def tag_of(self, held: str) -> str:
        """Return the tag that a list is in."""
        return self.get(f"payload-lists/by-name/{held}")["global_tag"]

    def rows(self, held: str) -> list[tuple[str, tuple[int, int], tuple[int, int]]]:
        """Return url, start and end of each IOV of a list that is in a tag."""
        return self.timeline(self.tag_of(held), held.rpartition("_")[0])

    def timeline(self, tag: str, kind: str) -> list[tuple[str, tuple[int, int], tuple[int, int]]]:
        """Return url, start and end of each IOV that a tag has of a type."""
        told = self.get(f"globalTag/{tag}")["payload_lists"]
        lists = {each["payload_type"]: each["payload_iov"] for each in told}
        return [
            (
                iov["payload_url"],
                (iov["major_iov"], iov["minor_iov"]),
                (iov["major_iov_end"], iov["minor_iov_end"]),
            )
            for iov in lists[kind]
        ]


@contextmanager
def cdb(folder: Path, **environ: str) -> Iterator[Cdb]:
    """Run both tiers in `folder`."""
    with pair(folder, **environ) as both:
        yield Cdb(both)
