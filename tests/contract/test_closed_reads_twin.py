"""A reader of some tags is told what all are told by a store in which the others never were."""

import re
from random import Random

import pytest
from closed import ALL, reader, store

CDB = "/api/cdb_rest"
V1 = "/api/v1"
TAGS = {"s-one": True, "s-two": True, "h-one": False, "h-two": False}
"""The tags that come and go, and whether they are seen."""
KINDS = ("Beam", "Temp")
VARY = {"lsn", "id", "request_id"}


class Twins:
    """Two stores in which the same happens, but for hidden tags to the first one alone."""

    def __init__(self, rng, both, only):
        self.rng, self.both, self.only = rng, both, only
        self.lists = []  # names of what was made in no tag: in each store
        self.made = 0

    def step(self):
        """Do one thing, whether it is refused or not: that depends on what else was done."""
        tag, seen = self.rng.choice([*TAGS.items()])
        acts = [
            *(self._insert,) * 3, self._create, self._clone, self._state, self._delete,
            self._detach, self._make_list, self._attach, self._loose,
        ]  # fmt: skip
        self.rng.choice(acts)(tag, seen)

    def _do(self, seen, path, json, method="POST"):
        stores = (self.both, self.only) if seen else (self.both,)
        answers = [one.ask(ALL, path, json, method=method) for one in stores]
        assert len({answer.status_code for answer in answers}) == 1
        return answers

    def _create(self, tag, seen):
        self._do(seen, f"{V1}/global-tags", {"name": tag, "description": f"about {tag}"})

    def _insert(self, tag, seen):
        self.made += 1
        start = self.rng.randrange(9)
        end = start + self.rng.randrange(1, 4)
        kind = self.rng.choice(KINDS)
        told = {"payload_type": kind, "start": [start, 0], "end": [end, 0], "name": f"n{self.made}"}
        self._do(True, f"{V1}/payload-types", {"name": kind})  # types are seen by everybody
        self._do(seen, f"{V1}/global-tags/{tag}/iovs", {"iovs": [told]})

    def _clone(self, tag, seen):
        source = f"{tag[0]}-{'two' if tag.endswith('one') else 'one'}"
        self._do(seen, f"{V1}/global-tags/{source}/clone", {"name": tag})

    def _state(self, tag, seen):
        act = self.rng.choice(("lock", "unlock", "unlock", "freeze", "unfreeze", "unfreeze"))
        self._do(seen, f"{V1}/global-tags/{tag}/{act}", {"reason": "so"})

    def _delete(self, tag, seen):
        self._do(seen, f"{V1}/global-tags/{tag}", None, "DELETE")

    def _detach(self, tag, seen):
        kind = self.rng.choice(KINDS)
        self._do(seen, f"{V1}/global-tags/{tag}/payload-lists/{kind}", None, "DELETE")

    def _make_list(self, tag, seen):
        answers = self._do(True, f"{V1}/payload-lists", {"payload_type": self.rng.choice(KINDS)})
        if answers[0].status_code == 201:
            self.lists.append([answer.get_json()["name"] for answer in answers])

    def _attach(self, tag, seen):
        if not self.lists or not seen:
            return
        for one, name in zip((self.both, self.only), self.rng.choice(self.lists), strict=True):
            path = f"{V1}/global-tags/{tag}/payload-lists/{name.rpartition('_')[0]}"
            one.ask(ALL, path, {"payload_list": name}, method="PUT")

    def _loose(self, tag, seen):
        self.made += 1
        told = {"payload_url": f"n{self.made}", "checksum": "c", "major_iov": 1, "minor_iov": 0}
        self._do(True, f"{CDB}/piov", told)


def bare(content):
    """Return JSON without what no two stores have in common: ids and LSNs."""
    if isinstance(content, dict):
        return {key: bare(value) for key, value in content.items() if not _varies(key, value)}
    if isinstance(content, list):
        return [bare(value) for value in content]
    return re.sub(r"\b(Beam|Temp)_\d+", r"\1_#", content) if isinstance(content, str) else content


def _varies(key, value):
    return key in VARY or (key == "next" and isinstance(value, int))


PAGES = [
    f"{V1}/global-tags", f"{V1}/global-tags?limit=1", f"{V1}/global-tags?after=h-one",
    f"{V1}/global-tags?search=one", f"{V1}/global-tags?state=frozen", f"{V1}/payload-types",
    f"{CDB}/globalTags", f"{CDB}/gt", f"{CDB}/pl", f"{CDB}/piov", f"{CDB}/pt",
    *(
        f"{CDB}/{shelf}?page={page}&page_size=2&{more}"
        for shelf in ("globalTags", "payload-lists", "payload-iovs")
        for page in (1, 2)
        for more in ("", "search=o", "sort=name&order=desc", "global_tag=h-one", "status=locked")
    ),
]  # fmt: skip
OF_A_TAG = (
    f"{V1}/global-tags/{{tag}}", f"{V1}/global-tags/{{tag}}/history",
    f"{V1}/global-tags/{{tag}}/payloads?major=3", f"{V1}/global-tags/{{tag}}/check",
    f"{V1}/global-tags/{{tag}}/diff?to=s-one", f"{V1}/global-tags/s-one/diff?to={{tag}}",
    f"{V1}/global-tags/{{tag}}/payload-lists/Beam/iovs",
    f"{CDB}/globalTag/{{tag}}", f"{CDB}/globalTag/{{tag}}?light", f"{CDB}/gtPayloadLists/{{tag}}",
    f"{CDB}/payloadiovs/?gtName={{tag}}&majorIOV=3&minorIOV=0",
)  # fmt: skip
PATHS = [*PAGES, *(path.format(tag=tag) for path in OF_A_TAG for tag in TAGS)]


@pytest.mark.parametrize("seed", range(4))
def test_hidden_tags_leave_no_trace(tmp_path, seed):
    """Every list, every count and every refusal is the same but for ids and LSNs."""
    with store(tmp_path / "both") as both, store(tmp_path / "only") as only:
        twins = Twins(Random(seed), both, only)  # noqa: S311 - chance that can be repeated
        for _ in range(60):
            twins.step()
        for path in PATHS:
            limited, all_there_is = both.ask(reader("s-.*"), path), only.ask(ALL, path)
            assert limited.status_code == all_there_is.status_code, path
            assert bare(limited.get_json()) == bare(all_there_is.get_json()), path
