"""Paths, numbers, types and sizes that no sound client sends, to every route of both tiers.

Whatever it is, it is answered, below 500 and in few words; memory does not grow by it.
"""

from __future__ import annotations

import json
import re
from itertools import product

import pytest
from long import at_length
from siege import TIER_SECRET, besieged, leaves, replaced
from siege_writes import CDB, QUERIES, V1, WRITES, base

from datastore_logic.app import create_app
from datastore_logic.config import Config

TRAVERSALS = (
    "..",
    "%2e%2e",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "../../../../../../etc/passwd",
    "..%5c..%5cwindows%5cwin.ini",
    "%252e%252e%252fetc%252fpasswd",
    "%c0%ae%c0%ae%c0%afetc%c0%afpasswd",
    "%e0%80%ae%e0%80%ae%e0%80%af",
    "%ff%fe",
    "%00",
    "base%00.json",
    "base%0d%0aX-Injected:%20yes",
    "base;/../base",
    "%u002e%u002e",
    "%",
    "%zz",
    "'%20OR%20'1'='1",
    "%7b%7b7*7%7d%7d",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "~root",
    "file:%2f%2f%2fetc%2fpasswd",
    "\xc0\xae\xc0\xae/",
    "a" * 3000,
    "sha256:" + "a" * 64,
    "A" * 64,
    "a" * 65,
    "\u0661".encode().decode("latin-1"),
)
BUFFER_PATHS = ("/blobs/sha256/{}", "/blobs/{}", "/state/{}", "/{}", "/ledger/{}", "/data/{}")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
NUMBERS = (
    *("1e400", "-1e400", "1e308", "1e-400", "-0", "-0.0", "0.1", "1.0", "1E+2", "-1"),
    *("9223372036854775807", "9223372036854775808", "18446744073709551616", "-9223372036854775809"),
    *(
        "9" * 400,
        "9" * 5000,
        "0." + "9" * 5000,
        "NaN",
        "Infinity",
        "-Infinity",
        "0x10",
        "1_0",
        "01",
    ),
)
TYPES = (
    "null",
    "true",
    '"1"',
    '""',
    "[]",
    "[[]]",
    "{}",
    '{"a":{}}',
    "[1,2,3]",
    "[null]",
    '"\\ud800"',
)


def routes():
    """Yield each method and path of the logic tier that has a name or a number in it."""
    for rule in create_app(Config()).url_map.iter_rules():
        if "<" in rule.rule:
            for method in sorted(rule.methods - {"OPTIONS"}):
                yield method, rule.rule


@pytest.fixture(scope="module")
def siege(tmp_path_factory):
    """Run both tiers, with a tag `base` that has one payload."""
    with besieged(tmp_path_factory.mktemp("shapes"), MAX_SIZE="1") as running:
        base(running)
        yield running


@pytest.mark.parametrize(("method", "rule"), sorted(routes()))
def test_a_path_leads_nowhere_else(siege, method, rule):
    """Each part in turn, with the others as they may be: nothing is found that is not there."""
    known = {"tag": "base", "name": "base", "kind": "Beam", "payload_type": "Beam"}
    parts = re.findall(r"<(?:\w+:)?(\w+)>", rule)
    before = siege.do("GET", "/ledger/head", buffer=True)
    for part, text in product(parts, TRAVERSALS):
        values = {each: known.get(each, "1") for each in parts} | {part: text}
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found, values=values: values[found[1]], rule)
        answer = siege.ask(method, path, b"{}" if method in {"POST", "PUT"} else None)
        assert method in {"GET", "HEAD"} or answer.status in {400, 404, 405, 409, 422}, answer
    assert method == "POST" or siege.do("GET", "/ledger/head", buffer=True) == before


@pytest.mark.parametrize(("method", "path"), [*product(METHODS, BUFFER_PATHS)])
def test_a_path_of_the_databuffer_leads_nowhere_else(siege, method, path):
    """Neither to files beside those meant, nor to other routes."""
    for text in TRAVERSALS:
        answer = siege.ask(method, path.format(text), buffer=True)
        assert 400 <= answer.status < 500, answer
    assert not [*siege.folder.glob("**/*passwd*"), *siege.folder.glob("**/base*json")]


@pytest.mark.parametrize("write", WRITES, ids=str)
@pytest.mark.parametrize("values", [NUMBERS, TYPES], ids=["numbers", "types"])
def test_any_value_anywhere_is_taken_or_refused(siege, write, values):
    """As JSON text, in each place of a sound body; and an answer is JSON that all can read."""
    for where, value in leaves(write.body):
        if values is NUMBERS and not isinstance(value, int):
            continue
        marked = json.dumps(replaced(write.fresh_body(), where, "@@"))
        for text in values:
            _, answer = write.sent(siege, marked.replace('"@@"', text).encode())
            assert answer.status in {200, 201, 202, 400, 404, 409, 413, 422}, answer
            if answer.headers.get("content-type") == "application/json":
                strictly(answer.body)


def strictly(body):
    """Read JSON as the standard has it, without NaN and Infinity."""

    def refuse(word):
        raise AssertionError(word)

    json.loads(body, parse_constant=refuse)


@pytest.mark.parametrize(("path", "name"), QUERIES)
def test_any_number_in_a_query_is_taken_or_refused(siege, path, name):
    """Too large, too long, negative, no number, in other digits; given twice."""
    method, body = ("POST", b"{}") if path == "/stream" else ("GET", None)
    mark = "&" if "?" in path else "?"
    for text in (*NUMBERS, "", "%D9%A1", "+1", "1%00", "1e3", "1&" + f"{name}=2"):
        answer = siege.ask(method, f"{path}{mark}{name}={text}", body)
        assert answer.status in {200, 304, 400, 404, 409, 414}, answer


@pytest.mark.parametrize("name", ["after", "limit", "wait"])
def test_any_number_asked_of_the_ledger_is_taken_or_refused(siege, name):
    """By the databuffer; nobody waits for longer than one may."""
    for text in (*NUMBERS, "", "%D9%A1", "+1", "1%00"):
        answer = siege.ask("GET", f"/ledger?{name}={text}&limit=1", buffer=True)
        assert answer.status in {200, 400, 404, 409, 416}, answer


@pytest.mark.parametrize("path", [f"{V1}/global-tags", f"{CDB}/globalTags", "/bufstat", "/nothing"])
@pytest.mark.parametrize("query", ["search=\xff", "\xc3\x28=1", "x=\xed\xa0\x80", "\xc0\xaf"])
def test_bytes_in_a_query_that_are_no_text_are_refused(siege, path, query):
    """Whichever route they come to."""
    assert siege.ask("GET", f"{path}?{query}").status == 400
    assert siege.ask("GET", f"/ledger?{query}", buffer=True).status in {200, 400}


LONG = "x" * 900_000


@pytest.mark.parametrize("write", WRITES, ids=str)
def test_a_text_of_a_megabyte_is_refused_and_not_sent_back(siege, write):
    """In each place of a sound body, as a value and as the name of a field."""
    for where, value in leaves(write.body):
        if isinstance(value, str):
            _, answer = write.sent(siege, replaced(write.fresh_body(), where, LONG))
            assert answer.status in {400, 404, 409, 413, 422}, answer.status
    if isinstance(write.body, dict):
        _, answer = write.sent(siege, write.fresh_body() | {LONG: LONG[:1000]})
        assert answer.status < 500
        assert len(answer.body) < 4000


@pytest.mark.parametrize("buffer", [False, True], ids=["logic", "databuffer"])
@pytest.mark.parametrize(
    "target",
    [
        "/" + "a" * 100_000,
        "/?" + "&".join(f"a{number}=1" for number in range(1000)),
        "/?" + "a=1&" * 1900,
        "/?" + "%41" * 2500 + "=1",
        "/" + "a/" * 3900,
        "/" + "../" * 2500 + "etc/passwd",
    ],
    ids=["path", "parameters", "one parameter", "encoded", "parts", "up"],
)
def test_a_long_target_is_refused_or_answered(siege, buffer, target):
    """In a megabyte as in a hundred: nothing of it is 5xx."""
    assert siege.ask("GET", target, buffer=buffer).status in {200, 400, 404, 414, 431}


def test_many_requests_of_megabytes_leave_no_memory_behind(siege):
    """What both tiers hold after the third round is what they held after the first."""
    held = []
    for _ in range(3):
        for number in range(at_length(12, 100)):
            text = json.dumps({"name": f"{number}{LONG}", "description": LONG[:100]}).encode()
            siege.ask("POST", f"{V1}/global-tags", text)
            siege.ask("POST", f"{CDB}/bulk_piov", [{"payload_url": LONG}] * 3)
            siege.ask("PUT", "/state/huge", json.dumps(LONG * 3).encode(), buffer=True)
            siege.ask("POST", "/ledger", {"type": LONG}, buffer=True)
        held.append(siege.resident())
    print(f"MiB held after each round: {held}")
    assert held[2] - held[0] < 30


def test_afterwards_both_answer_and_the_ledger_is_whole(siege):
    """Nothing of it did anything that was not asked."""
    siege.check_unharmed()
    assert TIER_SECRET not in siege.logic.log.read_text()
