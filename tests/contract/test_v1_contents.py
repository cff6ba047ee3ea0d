"""What holds, over HTTP: at one moment, at many, as it stood, for ever; and how long to keep it."""

import json

import pytest
from logic_pair import pair

TAGS = "/api/v1/global-tags"
FOR_EVER = "public, max-age=31536000, immutable"


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run both tiers with a tag `T`: Beam over [5, 9) and from 12, Noise over [0, 7)."""
    with pair(tmp_path_factory.mktemp("contents"), VIEW_WAIT="1") as running:
        make(running, "T")
        yield running


def make(both, name):
    """Make a tag and return the LSN since which it has its content."""
    assert both.post(TAGS, json.dumps({"name": name})).status == 201
    return insert(
        both,
        name,
        {"payload_type": "Beam", "start": [5, 0], "end": [9, 0], "name": "b5"},
        {"payload_type": "Beam", "start": [12, 0], "name": "b12", "revision": 3, "size": 7},
        {"payload_type": "Noise", "start": [0, 0], "end": [7, 0], "name": "n0", "checksum": "c"},
    )


def insert(both, name, *iovs):
    """Insert payload IOVs and return the LSN."""
    answer = both.post(f"{TAGS}/{name}/iovs", json.dumps({"iovs": iovs}))
    assert answer.status == 201, answer.data
    return answer.json()["lsn"]


def at(both, ref, major, minor=0, **headers):
    """Return what holds at a moment, and since and until when."""
    found = both.get(f"{TAGS}/{ref}/payloads?major={major}&minor={minor}", **headers)
    names = {payload["payload_type"]: payload["name"] for payload in found["payloads"]}
    return names, found["gaps"], found["since"], found["until"]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ((0, 0), ({"Noise": "n0"}, ["Beam"], [0, 0], [5, 0])),
        ((4, 2**63 - 1), ({"Noise": "n0"}, ["Beam"], [0, 0], [5, 0])),
        ((5, 0), ({"Beam": "b5", "Noise": "n0"}, [], [5, 0], [7, 0])),
        ((7, 0), ({"Beam": "b5"}, ["Noise"], [7, 0], [9, 0])),
        ((8, 2**63 - 1), ({"Beam": "b5"}, ["Noise"], [7, 0], [9, 0])),
        ((9, 0), ({}, ["Beam", "Noise"], [9, 0], [12, 0])),
        ((12, 0), ({"Beam": "b12"}, ["Noise"], [12, 0], None)),
        ((2**63 - 1, 2**63 - 1), ({"Beam": "b12"}, ["Noise"], [12, 0], None)),
    ],
)
def test_what_holds_and_over_which_interval(both, moment, expected):
    """Starts are in, ends are out, a gap is a gap; since and until bound the whole answer."""
    assert at(both, "T", *moment) == expected


def test_a_payload_says_all_that_is_known_of_it(both):
    """What the caller gave is kept as it was; what is kept elsewhere has no href."""
    (beam,) = both.get(f"{TAGS}/T/payloads?major=12&type=Beam")["payloads"]
    assert beam == {
        "payload_type": "Beam",
        "name": "b12",
        "checksum": None,
        "digest": None,
        "size": 7,
        "revision": 3,
        "start": [12, 0],
        "end": None,
        "href": None,
    }


def test_many_moments_are_answered_as_each_alone(both):
    """In the order they were asked for, all of one state."""
    moments = [[9, 0], [0, 0], [5, 0], [12, 0], [5, 0]]
    told = both.post(f"{TAGS}/T/resolve", json.dumps({"moments": moments}))
    assert told.status == 200
    alone = [both.get(f"{TAGS}/T/payloads?major={m}&minor={n}") for m, n in moments]
    assert told.json()["resolutions"] == alone
    assert {found["lsn"] for found in alone} == {told.json()["lsn"]}


def test_many_moments_of_some_types(both):
    """Only those; of one that the tag has not: 404."""
    url = f"{TAGS}/T/resolve"
    told = both.post(url, '{"moments":[[8,0]],"types":["Noise"]}').json()
    (found,) = told["resolutions"]
    assert (found["payloads"], found["gaps"]) == ([], ["Noise"])
    both_types = both.post(url, '{"moments":[[8,0]],"types":["Noise","Beam"]}').json()
    assert both_types["resolutions"] == [both.get(f"{TAGS}/T/payloads?major=8")]
    missing = both.post(url, '{"moments":[[8,0]],"types":["None"]}')
    assert (missing.status, missing.json()["code"]) == (404, "payload_type_not_found")


def test_a_thousand_moments_fit_and_no_more(both):
    """1000 in one request."""
    moments = [[number, 0] for number in range(1001)]
    told = both.post(f"{TAGS}/T/resolve", json.dumps({"moments": moments[:1000]}))
    assert len(told.json()["resolutions"]) == 1000
    refused = both.post(f"{TAGS}/T/resolve", json.dumps({"moments": moments}))
    assert (refused.status, refused.json()["field"]) == (400, "moments")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"moments":[]}', "moments"),
        ('{"moments":[[1,0],[1]]}', "moments[1]"),
        ('{"moments":[[1,-1]]}', "moments[0]"),
        ('{"moments":[[1,1.5]]}', "moments[0]"),
        ('{"moments":[[true,1]]}', "moments[0]"),
        ('{"moments":[["1",1]]}', "moments[0]"),
        ('{"moments":[[9223372036854775808,1]]}', "moments[0]"),
        ('{"moments":{"major":1}}', "moments"),
        ('{"moments":[[1,0]],"types":[]}', "types"),
        ('{"moments":[[1,0]],"types":"Beam"}', "types"),
        ('{"moments":[[1,0]],"types":["Beam","a b"]}', "types[1]"),
        ('{"moments":[[1,0]],"type":"Beam"}', "type"),
        ("{}", "moments"),
    ],
)
def test_moments_that_cannot_be_are_refused_by_their_place(both, body, field):
    """400 names which one."""
    refused = both.post(f"{TAGS}/T/resolve", body)
    assert (refused.status, refused.json()["field"]) == (400, field)


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("", "major", "bad_request"),
        ("minor=1", "major", "bad_request"),
        ("major=x", "major", "bad_moment"),
        ("major=1&minor=x", "minor", "bad_moment"),
        ("major=1&minor=", "minor", "bad_moment"),
        ("major=1&minor=-1", "minor", "bad_moment"),
        (f"major=1&minor={2**63}", "minor", "bad_moment"),
        ("major=1.0", "major", "bad_moment"),
        ("major=1&type=a%20b", "type", "bad_name"),
        ("major=1&as_of=x", "as_of", "bad_request"),
        ("major=1&asof=1", "asof", "bad_request"),
        ("major=1&major=2", "major", "bad_request"),
    ],
)
def test_a_question_that_cannot_be_is_refused_by_its_field(both, query, field, code):
    """400 names the parameter, in the word for what is wrong with it."""
    refused = both.ask("GET", f"{TAGS}/T/payloads?{query}")
    assert (refused.status, refused.json()["field"], refused.json()["code"]) == (400, field, code)


# as it stood ------------------------------------------------------------------------------------


def test_a_tag_answers_as_it_stood(both):
    """TAG@<lsn> and ?as_of=<lsn> say the same, also after the tag was changed, and deleted."""
    then = make(both, "old")
    before = at(both, "old", 6)
    insert(both, "old", {"payload_type": "Beam", "start": [6, 0], "name": "b6"})
    assert at(both, "old", 6)[0] == {"Beam": "b6", "Noise": "n0"}
    assert at(both, f"old@{then}", 6) == before
    assert both.get(f"{TAGS}/old/payloads?major=6&as_of={then}") == both.get(
        f"{TAGS}/old@{then}/payloads?major=6"
    )
    both.ask("DELETE", f"{TAGS}/old")
    assert at(both, f"old@{then}", 6) == before
    assert both.ask("GET", f"{TAGS}/old/payloads?major=6").status == 404


def test_before_it_was_there_and_after_it_was_deleted_there_is_no_tag(both):
    """404 for an LSN before the first entry of a tag, and for those after its deletion."""
    first = both.post(TAGS, '{"name":"brief"}').json()["lsn"]
    gone = both.ask("DELETE", f"{TAGS}/brief").json()["lsn"]
    statuses = [
        both.ask("GET", f"{TAGS}/brief@{lsn}").status for lsn in (0, first - 1, first, gone)
    ]
    assert statuses == [404, 404, 200, 404]


def test_a_name_taken_again_is_another_tag(both):
    """As of an LSN each of the two answers for its own time."""
    first = make(both, "again")
    both.ask("DELETE", f"{TAGS}/again")
    both.post(TAGS, '{"name":"again"}')
    second = insert(both, "again", {"payload_type": "Beam", "start": [1, 0], "name": "new"})
    assert at(both, f"again@{first}", 6)[0] == {"Beam": "b5", "Noise": "n0"}
    assert at(both, f"again@{second}", 6)[0] == {"Beam": "new"}


@pytest.mark.parametrize("path", ["", "/payloads?major=1", "/payload-lists/Beam/iovs", "/check"])
def test_what_the_ledger_has_not_said_yet_is_404(both, path):
    """An LSN beyond the ledger's head is no reason to come again."""
    missing = both.ask("GET", f"{TAGS}/T@999999{path}")
    assert (missing.status, missing.json()["code"]) == (404, "lsn_not_found")
    assert both.post(f"{TAGS}/T@999999/clone", '{"name":"later"}').status == 404


def test_a_state_is_named_once(both):
    """?as_of= behind a name that already says which state is 400."""
    for mark in ("1", "0" * 64):
        refused = both.ask("GET", f"{TAGS}/T@{mark}?as_of=1")
        assert (refused.status, refused.json()["field"]) == (400, "as_of")


# for ever ---------------------------------------------------------------------------------------


def test_a_fingerprint_never_answers_with_other_content(both):
    """Not after unfreezing and changing, not after deleting, not when the name is taken again."""
    make(both, "kept")
    mark = both.post(f"{TAGS}/kept/freeze").json()["fingerprint"]
    paths = [f"kept@{mark}{rest}" for rest in ("", "/payloads?major=6", "/payload-lists/Beam/iovs")]
    first = [both.ask("GET", f"{TAGS}/{path}") for path in paths]

    def is_unchanged():
        now = [both.ask("GET", f"{TAGS}/{path}") for path in paths]
        return [answer.data for answer in now] == [answer.data for answer in first]

    assert {answer.headers["Cache-Control"] for answer in first} == {FOR_EVER}
    both.post(f"{TAGS}/kept/unfreeze", '{"reason":"to change it"}')
    insert(both, "kept", {"payload_type": "Beam", "start": [0, 0], "name": "other"})
    assert is_unchanged()
    both.ask("DELETE", f"{TAGS}/kept")
    assert is_unchanged()
    both.post(TAGS, '{"name":"kept","description":"another one"}')
    insert(both, "kept", {"payload_type": "Beam", "start": [0, 0], "name": "other"})
    other = both.post(f"{TAGS}/kept/freeze").json()["fingerprint"]
    assert other != mark
    assert is_unchanged()
    assert at(both, f"kept@{other}", 6)[0] == {"Beam": "other"}


def test_a_fingerprint_belongs_to_its_tag(both):
    """Under another tag's name it is 404, and is not to be kept."""
    make(both, "mine")
    mark = both.post(f"{TAGS}/mine/freeze").json()["fingerprint"]
    missing = both.ask("GET", f"{TAGS}/T@{mark}/payloads?major=6")
    assert (missing.status, missing.headers["Cache-Control"]) == (404, "no-store")


# revalidating -----------------------------------------------------------------------------------

READS = [
    "/global-tags", "/global-tags/T", "/global-tags/T/payloads?major=6", "/global-tags/T/check",
    "/global-tags/T/diff?to=T@1", "/global-tags/T/history", "/payload-types",
    "/global-tags/T/payload-lists/Beam/iovs", "/global-tags/T@3", "/global-tags/T?as_of=3",
    "/global-tags/T@3/payloads?major=6", "/global-tags/T@3/payload-lists/Beam/iovs",
    "/payload-lists/Beam_1", "/openapi.json", "/docs",
]  # fmt: skip


@pytest.mark.parametrize("path", READS)
def test_every_read_revalidates(both, path):
    """An ETag and no-cache; 304 without a body to who has it."""
    first = both.ask("GET", f"/api/v1{path}")
    assert (first.status, first.headers["Cache-Control"]) == (200, "no-cache")
    again = both.ask("GET", f"/api/v1{path}", If_None_Match=first.headers["ETag"])
    assert (again.status, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert both.ask("GET", f"/api/v1{path}", If_None_Match='"other"').status == 200


def test_a_304_ends_with_the_next_change(both):
    """Of the tag, its list and its type's IOVs alike; what is of another tag goes on."""
    make(both, "moving")
    paths = [f"moving{rest}" for rest in ("", "/payloads?major=6", "/history", "/check")]
    paths += ["T", "T/payloads?major=6"]
    marks = [both.ask("GET", f"{TAGS}/{path}").headers["ETag"] for path in paths]
    insert(both, "moving", {"payload_type": "Beam", "start": [6, 0], "name": "b6"})
    now = [
        both.ask("GET", f"{TAGS}/{path}", If_None_Match=mark).status
        for path, mark in zip(paths, marks, strict=True)
    ]
    assert now == [200, 200, 200, 200, 304, 304]


def test_the_etag_of_a_state_is_of_the_ledger_and_the_lsn(both):
    """However often the tag was changed since."""
    then = make(both, "still")
    first = both.ask("GET", f"{TAGS}/still@{then}/payloads?major=6")
    ledger = both.get("/readyz")["ledger"]
    assert first.headers["ETag"] == f'W/"{ledger[:12]}-{then}"'
    insert(both, "still", {"payload_type": "Beam", "start": [6, 0], "name": "b6"})
    again = both.ask("GET", f"{TAGS}/still@{then}/payloads?major=6")
    assert (again.data, again.headers["ETag"]) == (first.data, first.headers["ETag"])


def test_a_read_waits_for_what_it_must_reflect(both):
    """X-Min-LSN up to what was written is shown; beyond it: 503 and when to come again."""
    lsn = both.post(TAGS, '{"name":"soon"}').headers["X-Ledger-LSN"]
    shown = both.ask("GET", f"{TAGS}/soon", X_Min_LSN=lsn)
    assert (shown.status, int(shown.headers["X-Ledger-LSN"]) >= int(lsn)) == (200, True)
    behind = both.ask("GET", f"{TAGS}/soon", X_Min_LSN="999999")
    assert (behind.status, behind.json()["code"]) == (503, "view_behind")
    assert int(behind.headers["Retry-After"]) >= 1
