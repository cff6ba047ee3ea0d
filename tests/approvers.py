"""Both tiers where a freeze needs two, several replicas, and people who prove who they are."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from issuer import SECRET, token
from load import ask
from servers import databuffer, eventually, logic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from load import Answer
    from servers import Running

TAGS = "/api/v1/global-tags"
NUMBERS = count(1)


def credential(name: str, claim: str = "b2cdb:admin") -> str:
    """Return a token of a person who may do everything that the claim allows."""
    return token({"sub": name, "exp": int(time.time()) + 3600, claim: ".*"})


def is_token(who: str) -> bool:
    """Return whether it is what one shows, rather than a name."""
    return who.startswith("cst_") or len(who) == 32


@dataclass
class Lab:
    """A databuffer and its replicas; a request goes to the first, unless another is meant."""

    buffer: Running
    pods: list[Running]

    def ask(
        self,
        who: str | None,
        method: str,
        path: str,
        body: Any = None,
        *,
        at: int = 0,
        key: str = "",
    ) -> Answer:
        """Send a request as somebody, by their name or a token; as nobody for None."""
        shown = who if who is None or is_token(who) else credential(who)
        headers = {} if shown is None else {"Authorization": f"Bearer {shown}"}
        headers |= {"Idempotency-Key": key} if key else {}
        return ask(method, self.pods[at].url + path, body, headers)

    def get(self, path: str, lsn: int = 0, *, at: int = 0) -> Any:
        """Return the JSON of a read that anybody may do, of a state not older than the LSN."""
        told = ask("GET", self.pods[at].url + path, None, {"X-Min-LSN": str(lsn)})
        assert told.status == 200, told
        return told.json

    def tag(self) -> str:
        """Make a tag with one payload IOV."""
        name = f"tag-{next(NUMBERS)}"
        assert self.ask("alice", "POST", TAGS, {"name": name}).status == 201
        self.insert(name, 1)
        return name

    def insert(self, tag: str, start: int, *, at: int = 0) -> Answer:
        """Put a payload IOV into a tag."""
        iov = {"payload_type": "Beam", "start": [start, 0], "name": f"b{start}"}
        return self.ask("alice", "POST", f"{TAGS}/{tag}/iovs", {"iovs": [iov]}, at=at)

    def freeze(self, who: str, tag: str, told: Any = None, *, at: int = 0, key: str = "") -> Answer:
        """Ask for a freeze, without the report."""
        return self.ask(who, "POST", f"{TAGS}/{tag}/freeze?report=0", told, at=at, key=key)


@contextmanager
def lab(folder: Path, pods: int = 1, **environ: str) -> Iterator[Lab]:
    """Run both tiers in a folder; `FREEZE_APPROVALS` is 2."""
    told = {"JWT_SECRET": SECRET, "FREEZE_APPROVALS": "2", **environ}
    with ExitStack() as running:
        buffer = running.enter_context(databuffer(folder))
        replicas = [
            running.enter_context(logic(buffer.url, folder, name=f"pod-{number}", **told))
            for number in range(pods)
        ]
        for each in replicas:
            eventually(lambda each=each: ask("GET", f"{each.url}/readyz").json.get("writes"))
        yield Lab(buffer, replicas)


def history(lab: Lab, tag: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return who did what about freezing a tag, in order."""
    told = json.loads(ask("GET", f"{lab.pods[0].url}{TAGS}/{tag}/history").body)["entries"]
    return [(one["actor"], one["act"], one["about"]) for one in reversed(told)]
