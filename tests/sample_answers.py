"""What a kept sample is asked, and whether it still answers as it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from load import ask
from servers import bearer

if TYPE_CHECKING:
    from collections.abc import Iterator

API = "/api/v1"
CDB = "/api/cdb_rest"
MOMENTS = (102, 455, 2500)


def answers(url: str, token: str) -> dict[str, Any]:
    """Ask a replica everything; return what it answers, by path."""
    found: dict[str, Any] = {}

    def told(path: str) -> Any:
        answer = ask("GET", url + path, None, bearer(token))
        found[path] = answer.json if answer.status == 200 else answer.status
        return found[path]

    tags = [row["name"] for row in told(f"{API}/global-tags")["global_tags"]]
    for name in [*tags, "deleted"]:
        for path in _about(name, told(f"{API}/global-tags/{name}/history")):
            told(path)
    for tag in tags:
        kinds = [row["payload_type"] for row in found[f"{API}/global-tags/{tag}"]["payload_lists"]]
        for kind in kinds:
            told(f"{API}/global-tags/{tag}/payload-lists/{kind}/iovs")
            if "STRAIN" in kind:
                told(f"{API}/global-tags/{tag}/payload-lists/{kind}/segments")
    for path in ("payload-types", "tokens"):
        told(f"{API}/{path}")
    for path in ("globalTags", "pt", "piov?page_size=9&search=in%20no%20list"):
        told(f"{CDB}/{path}")
    for path in ("/bufstat", "/dsdesc", "/dumpf", "/dumpflog"):
        told(path)
    return found


def _about(tag: str, history: Any) -> Iterator[str]:
    """Give the paths of a tag as it is and as it was after each act, and what it resolves to."""
    path = f"{API}/global-tags/{tag}"
    yield path
    yield from (f"{path}/payloads?major={major}" for major in MOMENTS)
    for entry in history["entries"]:
        yield f"{path}@{entry['lsn']}"
        fingerprint = entry["about"].get("fingerprint")
        if entry["act"] == "tag.frozen" and fingerprint:
            yield f"{path}@{fingerprint}"
            yield from (f"{path}@{fingerprint}/payloads?major={major}" for major in MOMENTS)


def differences(kept: Any, found: Any, where: str = "") -> list[str]:
    """Say where an answer is another than the kept one; a newer version may tell more."""
    if isinstance(kept, dict) and isinstance(found, dict):
        missing = [f"{where}/{name}: gone" for name in kept if name not in found]
        both = [name for name in kept if name in found]
        parts = [differences(kept[name], found[name], f"{where}/{name}") for name in both]
        return missing + [line for part in parts for line in part]
    if isinstance(kept, list) and isinstance(found, list) and len(kept) == len(found):
        parts = [
            differences(old, new, f"{where}[{at}]")
            for at, (old, new) in enumerate(zip(kept, found, strict=True))
        ]
        return [line for part in parts for line in part]
    return [] if kept == found else [f"{where}: {kept!r} was {found!r}"]
