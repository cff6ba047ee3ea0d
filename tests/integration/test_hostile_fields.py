"""SQL, markup, templates, paths and control characters in every string field of every write.

Each is refused with its field named, or kept and told just as it was sent; pages show it as text.
"""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest
from siege import HOSTILE, TIER_SECRET, besieged, leaves, replaced
from siege_writes import CDB, NUMBERS, QUERIES, V1, WRITES, base

REFUSED = {400, 404, 409, 422}
NOT_KEPT = {
    *((f"POST {V1}/global-tags/{{tag}}/freeze", "user"), (f"POST {CDB}/gt", "author")),
    (f"POST {CDB}/gt", "description"),  # nopayloaddb tells it nowhere
    *(("POST /freezeds", name) for name in ("user", "token")),
    *(("POST /train", name) for name in ("user", "token")),
    ("POST /cleanbuf", "msg"),
    (f"POST {V1}/global-tags/{{tag}}/resolve", "types"),
}
"""Fields that are not told again: who is verified has a name, and a question is no record."""


@pytest.fixture(scope="module")
def siege(tmp_path_factory):
    """Run both tiers, with a tag `base` that has one payload."""
    with besieged(tmp_path_factory.mktemp("fields"), MAX_SIZE="1") as running:
        base(running)
        yield running


@pytest.fixture(scope="module")
def kept():
    """Every text that was accepted, where it is to be told again."""
    return []


def strings(told):
    """Return every text in JSON, wherever it stands."""
    return {value for _, value in leaves(told) if isinstance(value, str)}


@pytest.mark.parametrize("write", WRITES, ids=str)
def test_a_hostile_text_is_refused_by_its_field_or_kept_as_it_is(siege, kept, write):
    """Whatever field it stands in."""
    for where, value in leaves(write.body):
        if not isinstance(value, str):
            continue
        for text in HOSTILE:
            marked = f"{text}#{next(NUMBERS)}"
            tag, answer = write.sent(siege, replaced(write.fresh_body(), where, marked))
            *_, name = words = [part for part in where if isinstance(part, str)]
            if answer.status < 300:
                if (str(write), name) not in NOT_KEPT:
                    kept.append((tag, str(write), where, marked))
            elif answer.status == 400 and write.path.startswith(V1):
                assert {*words} & {*re.split(r"\W+", answer.json["field"])}, answer
            else:
                assert answer.status in REFUSED, answer


def test_what_was_kept_is_told_as_it_was_sent(siege, kept):
    """Every accepted text is found again, unchanged, in what is told of tag, list or token."""
    assert len(kept) > 5 * len(HOSTILE)
    told = strings(siege.do("GET", f"{V1}/global-tags"))
    told |= strings(siege.do("GET", f"{V1}/tokens"))
    told |= strings(siege.do("GET", f"{CDB}/piov"))
    lacking = []
    for tag, write, where, text in kept:
        if text not in told and "{tag}" in write:
            told |= strings(siege.do("GET", f"{V1}/global-tags/{tag}/history"))
            told |= strings(siege.do("GET", f"{V1}/global-tags/{tag}"))
            if write.endswith("/iovs"):
                for kind in ("Beam", "Noise"):
                    asked = f"{V1}/global-tags/{tag}/payload-lists/{kind}/iovs"
                    told |= strings(siege.do("GET", asked))
        if text not in told:
            lacking.append((write, where, text))
    assert lacking == []


class Tags(HTMLParser):
    """Notes every element, and attributes that run something."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.wrong: list[Any] = []

    def handle_starttag(self, tag, attrs):
        """Note one."""
        self.seen.add(tag)
        runs = ("on", "javascript:", "data:")
        self.wrong += [each for each in attrs if any(str(w).startswith(runs) for w in each)]


@pytest.mark.parametrize("path", ["/", "/api/v1/docs", f"{CDB}/web/"])
def test_pages_show_it_as_text(siege, path):
    """No element, no handler and no sum comes of it."""
    answer = siege.ask("GET", path)
    assert answer.status in {200, 404}
    page = Tags()
    page.feed(answer.body.decode())
    assert not page.seen & {"script", "img", "iframe", "object"}
    assert page.wrong == []


@pytest.mark.parametrize(("path", "name"), QUERIES)
def test_a_hostile_text_in_a_query_finds_nothing_it_should_not(siege, path, name):
    """It is a word to look for, or refused; it changes no question."""
    method, body = ("POST", b"{}") if path == "/stream" else ("GET", None)
    for text in HOSTILE:
        encoded = "".join(f"%{byte:02X}" for byte in text.encode())
        mark = "&" if "?" in path else "?"
        answer = siege.ask(method, f"{path}{mark}{name}={encoded}", body)
        assert answer.status in {200, 400, 404}, answer


@pytest.mark.parametrize("word", ["%", "_", "' OR '1'='1", "\\", "*", "base%", "b_se"])
def test_what_a_pattern_would_find_is_not_found(siege, word):
    """Words to search by are words."""
    asked = quote(word)
    for found in (
        siege.do("GET", f"{V1}/global-tags?search={asked}")["global_tags"],
        siege.do("GET", f"{CDB}/globalTags?page=1&search={asked}")["results"],
    ):
        assert all(word in f"{tag['name']} {tag['author']}" for tag in found)


HEADERS = [
    *("Idempotency-Key", "X-Min-LSN", "X-Request-Id", "If-None-Match", "If-Match", "Range"),
    *("Accept", "User-Agent", "Content-Type", "Origin", "X-Actor", "Cookie", "Authorization"),
]


@pytest.mark.parametrize("buffer", [False, True], ids=["logic", "databuffer"])
@pytest.mark.parametrize("header", HEADERS)
def test_a_hostile_text_in_a_header_is_refused_or_passed_over(siege, header, buffer):
    """It reaches no log line and no other header."""
    for text in HOSTILE:
        line = text.replace("\r\n", " ").replace("\x00", "").encode().decode("latin-1")
        target = "/stat" if buffer else f"{V1}/global-tags/base"
        answer = siege.ask("GET", target, buffer=buffer, headers={header: line})
        assert answer.status in {200, 304, 400, 401, 403, 404, 412}, answer


ENTRY = {"type": "x.y", "actor": "a", "data": {"k": "v"}, "keys": ["k"], "expect": {"e": 0},
         "idempotency_key": "i"}  # fmt: skip


def test_the_databuffer_keeps_or_refuses_it_too(tmp_path):
    """In every field of an entry, in documents and of who freezes; no replica heeds them."""
    with besieged(tmp_path) as alone:
        alone.logic.kill()
        kept = set()
        for where, _ in leaves(ENTRY):
            for text in HOSTILE:
                marked = f"{text}#{next(NUMBERS)}"
                fresh = ENTRY | {"idempotency_key": f"i{next(NUMBERS)}"}
                if where == ("expect", "e"):
                    entry = fresh | {"expect": {marked: 0}}
                else:
                    entry = replaced(fresh, where, marked)
                answer = alone.ask("POST", "/ledger", entry, buffer=True)
                assert answer.status in {201, 400, 412}, answer
                assert answer.status == 201 or where[0] in str(answer.json), answer
                if answer.status == 201 and where[0] != "expect":
                    kept.add(marked)
        for text in HOSTILE:
            told = {"user": text, "token": text}
            alone.ask("PUT", "/state/hostile", json.dumps(text).encode(), buffer=True,
                      headers={"If-None-Match": "*"})  # fmt: skip
            alone.ask("POST", "/upddsc", told, buffer=True)
            alone.ask("POST", "/cleanall", told, buffer=True)
            actor = "".join(f"%{byte:02X}" for byte in text.encode())
            answer = alone.ask("POST", "/cleanall", b"", buffer=True, headers={"X-Actor": actor})
            assert answer.status == (201 if text.isprintable() else 400), answer
        lines = alone.ask("GET", "/ledger?limit=10000", buffer=True).body.splitlines()
        assert kept <= set().union(*(strings(json.loads(line)) for line in lines))
        assert len(kept) > len(HOSTILE)
        assert TIER_SECRET not in alone.buffer.log.read_text()


def test_afterwards_both_answer_and_the_ledger_is_whole(siege):
    """Nothing of it was more than text."""
    siege.check_unharmed()
