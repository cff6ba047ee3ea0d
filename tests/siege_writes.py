"""Every write that takes JSON, with a sound body: those of openapi.json and of both contracts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datastore_logic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siege import Siege, Told

DOCUMENT = json.loads(Path(datastore_logic.__file__).with_name("openapi.json").read_text())
NUMBERS = count(1)
V1, CDB = "/api/v1", "/api/cdb_rest"


@dataclass(frozen=True)
class Write:
    """A write with a sound body; a tag of its own stands for `{tag}`."""

    method: str
    path: str
    body: Any
    fresh: str = ""
    """The field whose value nothing else may have."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def sent(self, siege: Siege, body: Any) -> tuple[str, Told]:
        """Send it with another body; return its tag and the answer."""
        path, tag = self.path, f"t{next(NUMBERS)}"
        if "{tag}" in path:
            siege.do("POST", f"{V1}/global-tags", {"name": tag})
            if act := BEFORE.get(path[path.rindex("/") :]):
                siege.do("POST", f"{V1}/global-tags/{tag}/{act}")
            path = path.replace("{tag}", tag).replace("{payload_type}", "Beam")
        return tag, siege.ask(self.method, path, body)

    def fresh_body(self) -> Any:
        """Return the body with a name that nothing else has."""
        return self.body | {self.fresh: f"n{next(NUMBERS)}"} if self.fresh else self.body


BEFORE = {"/unlock": "lock", "/unfreeze": "freeze"}
"""What must have been done to a tag, so that this changes something."""


def _documented() -> Iterator[Write]:
    """Yield each operation of openapi.json that takes JSON, with the document's own example."""
    for path, methods in DOCUMENT["paths"].items():
        for method, told in methods.items():
            content = told.get("requestBody", {}).get("content", {}).get("application/json")
            if content:
                fresh = "name" if path.endswith(("/global-tags", "/clone", "-types")) else ""
                yield Write(method.upper(), f"{V1}{path}", content["example"], fresh)


_TAG = {"name": "x", "status": "unlocked", "author": "a", "description": "d"}
_IOV = {"payload_url": "a", "checksum": "c", "major_iov": 5, "minor_iov": 0, "size": 1}
_ENDED = {**_IOV, "major_iov_end": 6, "minor_iov_end": 0}
_WHO = {"user": "alice", "token": "secret"}
WRITES = [
    *_documented(),
    Write("POST", f"{CDB}/gtstatus", {"name": "locked"}),
    Write("POST", f"{CDB}/gt", _TAG, "name"),
    Write("POST", f"{CDB}/pt", {"name": "x"}, "name"),
    Write("POST", f"{CDB}/pl", {"payload_type": "Beam"}),
    Write("PUT", f"{CDB}/pl_attach", {"global_tag": "base", "payload_list": "Beam_1"}),
    Write("POST", f"{CDB}/piov", _ENDED),
    Write("POST", f"{CDB}/bulk_piov", [{**_IOV, "payload_list": "Beam_1"}]),
    Write("PUT", f"{CDB}/piov_attach", {"payload_list": "Beam_1", "piov_id": 1}),
    Write("POST", "/freezeds", _WHO),
    Write("POST", "/train", _WHO),
    Write("POST", "/cleanbuf", {"msg": "clean"}),
]


def base(siege: Siege) -> None:
    """Make the tag `base`, whose list Beam_1 has one payload IOV."""
    iov = {"payload_type": "Beam", "start": [1, 0], "end": [2, 0], "name": "b"}
    siege.do("POST", f"{V1}/global-tags", {"name": "base"})
    siege.do("POST", f"{V1}/global-tags/base/iovs", {"iovs": [iov]})


def queries() -> Iterator[tuple[str, str]]:
    """Yield each path of openapi.json, of something that is there, and each query parameter."""
    shared = DOCUMENT["components"]["parameters"]
    for path, methods in DOCUMENT["paths"].items():
        known = path.replace("{tag}", "base").replace("{payload_type}", "Beam")
        for told in methods.get("get", {}).get("parameters", []):
            found = shared[told["$ref"].rpartition("/")[2]] if "$ref" in told else told
            if found["in"] == "query":
                yield f"{V1}{known.replace('{other}', 'base')}", found["name"]


def more_queries() -> Iterator[tuple[str, str]]:
    """Yield the same of the contracts."""
    browsed = ("search", "sort", "order", "status", "global_tag", "payload_type", "payload_list")
    for path in ("globalTags", "pt", "pl", "piov"):
        for name in (*browsed, "page", "page_size"):
            yield f"{CDB}/{path}?page=1", name
    for name in ("gtName", "majorIOV", "minorIOV", "shape"):
        yield f"{CDB}/payloadiovs/?gtName=base", name
    for name in ("type", "tag", "major", "minor", "name", "user"):
        yield "/stream", name


QUERIES = [*queries(), *more_queries()]
