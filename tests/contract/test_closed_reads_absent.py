"""Where reads are closed, what one may not read is answered as what is not there, everywhere."""

import pytest
from closed import closed, in_common, reader, store

from datastore_logic.access.roles import TagPattern
from datastore_logic.access.routes import READ, ROUTES

MARK = "cd" * 32
SOME = {"moments": [[5, 0]]}
LIMITED = reader("shown.*")
TAG = "/api/v1/global-tags/{tag}"
CDB = "/api/cdb_rest"

# {tag} has the fingerprint {mark}; {id} is of a tag, a list or an IOV.
READS = {
    "v1.show_tag": (TAG, f"{TAG}?as_of=4", f"{TAG}@{{mark}}", f"{TAG}@4"),
    "v1.check_tag": (f"{TAG}/check", "/api/v1/global-tags/shown/check?template={tag}"),
    "v1.diff_tags": (
        f"{TAG}/diff?to=shown", "/api/v1/global-tags/shown/diff?to={tag}",
        f"{TAG}@{{mark}}/diff?to={{tag}}@{{mark}}", f"{TAG}/diff?to=shown&type=Beam",
    ),
    "v1.tag_history": (f"{TAG}/history", f"{TAG}@4/history", f"{TAG}@{{mark}}/history"),
    "v1.payloads": (
        f"{TAG}/payloads?major=5", f"{TAG}@{{mark}}/payloads?major=5", f"{TAG}@4/payloads?major=5",
        f"{TAG}/payloads?major=5&type=Beam", f"{TAG}/payloads?major=5&type=None",
    ),
    "v1.resolve_many": (f"POST {TAG}/resolve", f"POST {TAG}@{{mark}}/resolve"),
    "v1.list_iovs": (f"{TAG}/payload-lists/Beam/iovs", f"{TAG}@4/payload-lists/Beam/iovs"),
    "v1.list_segments": (f"{TAG}/payload-lists/Beam/segments",),
    "v1.show_list": ("/api/v1/payload-lists/Beam_{id}",),
    "cdb_rest.show_tag": (
        f"{CDB}/globalTag/{{tag}}", f"{CDB}/global-tags/{{tag}}?light",
    ),
    "cdb_rest.show_tag_by_id": (f"{CDB}/gt/{{id}}",),
    "cdb_rest.list_names": (f"{CDB}/gtPayloadLists/{{tag}}",),
    "cdb_rest.show_list": (f"{CDB}/payload-lists/by-name/Beam_{{id}}",),
    "cdb_rest.show_list_by_id": (f"{CDB}/pl/{{id}}",),
    "cdb_rest.show_iov": (f"{CDB}/piov/{{id}}",),
    "cdb_rest.query": (
        f"{CDB}/payloadiovs/?gtName={{tag}}&majorIOV=5&minorIOV=0",
        f"{CDB}/payloadiovs/?gtName={{tag}}@{{mark}}&majorIOV=5&minorIOV=0&shape=dict",
    ),
}  # fmt: skip
OF_ALL = {
    *("v1.list_tags", "cdb_rest.list_tags", "cdb_rest.list_nested_tags", "cdb_rest.list_lists"),
    *("cdb_rest.list_iovs", "pages.status", "cdb_rest.pages"),
}
"""What tells of all tags: other tests look at that."""
OF_THE_BUFFER = {
    "stream.bufstat": "/bufstat", "stream.dsdesc": "/dsdesc", "stream.dumpflog": "/dumpflog",
    "stream.dumpf": "/dumpf", "glitchflow.stats": "/stats", "glitchflow.desc": "/desc",
    "glitchflow.dumpbuf": "/dumpbuf",
}  # fmt: skip
OF_NO_TAG = {
    *("health.expose", "glitchflow.dspage", "v1.list_types", "v1.payload", "v1.missing_payloads"),
    *("cdb_rest.list_statuses", "cdb_rest.list_types", "cdb_rest.setting", "cdb_rest.timeout"),
    "v1.payload_link",
}
WRITES = (
    ("POST", "/api/v1/global-tags", {"name": "{tag}"}),
    ("DELETE", TAG, None),
    ("POST", f"{TAG}/clone", {"name": "shown9"}),
    ("POST", f"{TAG}@{{mark}}/clone", {"name": "shown9"}),
    ("POST", "/api/v1/global-tags/shown/clone", {"name": "{tag}"}),
    *(("POST", f"{TAG}/{act}", {}) for act in ("lock", "unlock", "freeze")),
    ("POST", f"{TAG}/unfreeze", {"reason": "so"}),
    ("POST", "/api/v1/global-tags/shown/freeze?template={tag}", {}),
    ("POST", f"{TAG}/iovs", {"iovs": [{"payload_type": "Beam", "start": [9, 0], "name": "x"}]}),
    ("DELETE", f"{TAG}/payload-lists/Beam/iovs?major=5&major_end=6", None),
    ("PUT", f"{TAG}/payload-lists/Beam", {"payload_list": "Beam_2"}),
    ("PUT", "/api/v1/global-tags/shown/payload-lists/Beam", {"payload_list": "Beam_{id}"}),
    ("DELETE", f"{TAG}/payload-lists/Beam", None),
    ("DELETE", "/api/v1/payload-lists/Beam_{id}", None),
    ("POST", f"{CDB}/gt", {"name": "{tag}", "status": "unlocked"}),
    ("POST", f"{CDB}/cloneGlobalTag/{{tag}}/shown9", None),
    ("PUT", f"{CDB}/gt_change_status/{{tag}}/locked", None),
    ("DELETE", f"{CDB}/deleteGlobalTag/{{tag}}", None),
    ("PUT", f"{CDB}/pl_attach", {"payload_list": "Beam_{id}", "global_tag": "shown"}),
    ("PUT", f"{CDB}/pl_attach", {"payload_list": "Beam_2", "global_tag": "{tag}"}),
    ("DELETE", f"{CDB}/deletePayloadList/Beam_{{id}}", None),
    ("PUT", f"{CDB}/piov_attach", {"payload_list": "Beam_2", "piov_id": "{id}"}),
    ("PUT", f"{CDB}/piov_attach", {"payload_list": "Beam_{id}", "piov_id": "2"}),
    ("DELETE", f"{CDB}/deletePayloadIOV/{{tag}}/Beam/5/0/6/0", None),
    ("POST", f"{CDB}/bulk_piov",
     [{"payload_list": "Beam_{id}", "payload_url": "u", "checksum": "c",
       "major_iov": 9, "minor_iov": 0}]),
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with tag 1, list 1 and IOV 1, which are hidden, and 2 of each, which are shown."""
    with store(tmp_path_factory.mktemp("closed"), access=closed()) as found:
        for name in ("hidden", "shown"):
            found.do("/api/v1/global-tags", {"name": name})
            one = {"payload_type": "Beam", "start": [5, 0], "end": [6, 0], "name": f"of-{name}"}
            found.do(f"/api/v1/global-tags/{name}/iovs", {"iovs": [one]})
        found.mark = found.do("/api/v1/global-tags/hidden/freeze", {})["fingerprint"]
        found.do("/api/v1/global-tags/hidden/unfreeze", {"reason": "to be changed"})
        yield found


def filled(content, values):
    """Return a path or a body with the names put in."""
    if isinstance(content, dict):
        return {key: filled(value, values) for key, value in content.items()}
    if isinstance(content, list):
        return [filled(value, values) for value in content]
    return content.format_map(values) if isinstance(content, str) else content


def both(made, claims, method, path, json):
    """Return what is answered of the hidden thing, and of one that is not there."""
    found = []
    for values in (
        {"tag": "hidden", "mark": made.mark, "id": "1"},
        {"tag": "absent", "mark": MARK, "id": "7"},
    ):
        sent, where = filled(json, values), filled(path, values)
        answer = made.ask(claims, where, sent, method=method)
        by_id = (f"Beam_{values['id']}", f"iov {values['id']}")
        found.append(in_common(answer, values["tag"], values["mark"], *by_id))
    return found


def test_every_read_is_looked_at():
    """A route that is added must be put where it belongs."""
    needed = {endpoint for endpoint, need in ROUTES.items() if need is READ}
    looked_at = {*READS, *OF_ALL, *OF_THE_BUFFER, *OF_NO_TAG}
    assert needed <= looked_at


@pytest.mark.parametrize("path", [path for paths in READS.values() for path in paths])
def test_a_hidden_tag_is_read_as_one_that_is_not_there(made, path):
    """Status, body and headers, but for the request id."""
    method, _, where = path.rpartition(" ")
    json = SOME if method else None
    hidden, absent = both(made, LIMITED, method or "GET", where, json)
    assert hidden == absent
    assert hidden[0] == 404 or hidden[1] in {"[]", "{}"}


@pytest.mark.parametrize(("method", "path", "json"), WRITES)
def test_a_hidden_tag_is_written_to_as_one_that_is_not_there(made, method, path, json):
    """By an admin of other tags, and nothing is done; what would make it is forbidden anyway."""
    before = len(made.buffer.lines)
    admin = {"sub": "al", "b2cdb:admin": "shown.*"}
    hidden, absent = both(made, admin, method, path, json)
    assert hidden == absent
    makes = path in {"/api/v1/global-tags", "/api/v1/global-tags/shown/clone", "/api/cdb_rest/gt"}
    assert hidden[0] == (403 if makes else 404)
    assert len(made.buffer.lines) == before


@pytest.mark.parametrize("path", OF_THE_BUFFER.values())
def test_the_buffer_is_told_of_to_who_may_read_its_tag(made, path):
    """Others are forbidden: that there is a buffer everybody knows."""
    answer = made.ask(LIMITED, path)
    assert answer.status_code == 403
    assert "n_itm" not in answer.get_data(as_text=True)
    assert made.ask(reader("stream"), path).status_code == 200


def test_a_payload_is_given_to_who_knows_its_digest(made):
    """To any reader; without a credential to nobody."""
    stored = made.do("/api/v1/payloads", {"any": "bytes"})
    assert made.ask(reader("none"), stored["href"]).status_code == 200
    assert made.ask(None, stored["href"]).status_code == 401


def test_a_type_that_a_hidden_tag_uses_is_in_use(made):
    """It is not deleted under the feet of what its deleter does not see."""
    admin = {"sub": "al", "b2cdb:admin": "other"}
    answer = made.ask(admin, "/api/v1/payload-types/Beam", method="DELETE")
    assert answer.status_code == 409


def test_read_tags_are_read_by_everybody_who_is_known(tmp_path):
    """READ_TAGS is a grant to all; other tags stay hidden."""
    with store(tmp_path, access=closed(read_tags=TagPattern.parse("pub.*"))) as found:
        for name in ("public", "private"):
            found.do("/api/v1/global-tags", {"name": name})
        told = found.ask({"sub": "any"}, "/api/v1/global-tags").get_json()
        assert [tag["name"] for tag in told["global_tags"]] == ["public"]
