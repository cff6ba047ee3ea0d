"""Every route, with every role and every kind of credential, over HTTP against both tiers."""

import json
import re
import time
from dataclasses import dataclass

import pytest
from issuer import AUDIENCE, ISSUER, SECRET, ec_key, key_set, public, rsa_key, token
from logic_pair import pair

from datastore_logic.access.roles import Role
from datastore_logic.access.routes import ROUTES, Need
from datastore_logic.app import create_app
from datastore_logic.config import Config

ROOT = "r" * 32
CLAIMS = {
    Role.READER: "condstore:read",
    Role.PRODUCER: "b2cdb:createpayload",
    Role.EDITOR: "b2cdb:createiov",
    Role.ADMIN: "b2cdb:admin",
}
TAG, DIGEST = "data", "ab" * 32
SAMPLES = {
    "tag": TAG, "name": TAG, "source": TAG, "kind": "Beam", "payload_type": "Beam", "major": "1",
    "minor": "0", "major_end": "5", "minor_end": "0", "hexdigits": DIGEST, "status": "locked",
    "tag_id": "1", "list_id": "1", "iov_id": "1", "payload_list": "Beam_1", "filename": "x.css",
    "token_id": "0123456789ab",
}  # fmt: skip


@dataclass(frozen=True)
class Route:
    """A method of a path, and what it needs."""

    method: str
    rule: str
    endpoint: str

    @property
    def need(self):
        """What access/routes.py says."""
        return ROUTES[self.endpoint]

    @property
    def path(self):
        """The path of something that is there."""
        return self.path_to(TAG)

    def path_to(self, tag):
        """The path of something of a tag."""
        samples = SAMPLES | {"tag": tag, "name": tag, "source": tag}
        samples |= {"name": "Beam_1"} if "delete_list" in self.endpoint else {}
        return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: samples[found[1]], self.rule)

    def __str__(self):
        return f"{self.method} {self.rule}"


APP = create_app(Config())
ALL = sorted(
    (
        Route(method, rule.rule, rule.endpoint)
        for rule in APP.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    ),
    key=str,
)
WRITES = [route for route in ALL if isinstance(ROUTES.get(route.endpoint), Role)]


def claims(role=None, tags=".*", **more):
    """Return what a good token says."""
    granted = {} if role is None else {CLAIMS[role]: tags}
    good = {"sub": "alice", "iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 600}
    return {**good, **granted, **more}


def of(role=None, tags=".*", **more):
    """Return a good token."""
    return token(claims(role, tags, **more))


def bad_ones():
    """Return a credential for each way of being none, all claiming to be of an admin."""
    admin, now = claims(Role.ADMIN), int(time.time())
    rsa_public = json.dumps(public(rsa_key(), "r1"))
    return {
        "none": None,
        "malformed": "a.b.c",
        "another scheme": "Basic YWxpY2U6c2VjcmV0",
        "expired": token({**admin, "exp": now - 3600}),
        "not yet": token({**admin, "nbf": now + 3600}),
        "without an end": token({name: said for name, said in admin.items() if name != "exp"}),
        "wrong secret": token(admin, "another-secret-of-forty-characters-long!"),
        "wrong key": token(admin, rsa_key("stranger"), "RS256", kid="r1"),
        "wrong audience": token({**admin, "aud": "elsewhere"}),
        "wrong issuer": token({**admin, "iss": "https://elsewhere.example"}),
        "alg none": token(admin, "", "none"),
        "public key as secret": token(admin, rsa_public, "HS256", kid="r1"),
        "key kind confused": token(admin, ec_key(), "ES256", kid="r1"),
        "token unknown": f"cst_0123456789ab_{'A' * 43}",
    }


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """Run both tiers, reads closed, with a tag that has a payload IOV."""
    folder = tmp_path_factory.mktemp("closed")
    keys = folder / "jwks.json"
    keys.write_bytes(key_set(public(rsa_key(), "r1"), public(ec_key(), "e1")))
    with pair(
        folder,
        READS="authenticated",
        ADMIN_TOKEN=ROOT,
        JWT_SECRET=SECRET,
        JWT_JWKS=str(keys),
        JWT_ISSUER=ISSUER,
        JWT_AUDIENCE=AUDIENCE,
        RATE_FAILURES="none",
    ) as running:
        fill(running)
        yield running


def fill(both):
    """Make the tag, its list and an IOV that SAMPLES name."""
    iov = {"payload_type": "Beam", "start": [1, 0], "end": [5, 0], "name": "b1"}
    ask(both, "POST", "/api/v1/global-tags", ROOT, {"name": TAG})
    ask(both, "POST", f"/api/v1/global-tags/{TAG}/iovs", ROOT, {"iovs": [iov]})


def ask(both, method, path, credential, body=None):
    """Send a request with a credential."""
    scheme = "" if credential is None or credential.startswith("Basic") else "Bearer "
    told = {} if credential is None else {"Authorization": f"{scheme}{credential}"}
    return both.ask(method, path, None if body is None else json.dumps(body), **told)


def head(both):
    """Return the LSN of the ledger's end."""
    return both.http.request("GET", f"{both.buffer.url}/ledger/head").json()["lsn"]


def test_every_route_is_in_the_table_and_nothing_else_is():
    """A route that nobody has thought about does not exist."""
    assert {route.endpoint for route in ALL} == set(ROUTES)


def test_what_changes_something_needs_a_role():
    """A route other than GET is open to none, but for questions too long for a URL.

    Whose a token is, who revokes it is asked by the service: it may revoke itself.
    """
    questions = {"v1.resolve_many", "v1.missing_payloads", "v1.revoke_token"}
    forms = {"sign_in.enter", "sign_in.leave"}
    assert not [
        str(route)
        for route in ALL
        if route.method != "GET"
        and not isinstance(route.need, Role)
        and route.endpoint not in questions | forms
    ]


@pytest.mark.parametrize("way", list(bad_ones()))
def test_no_route_opens_to_a_credential_that_proves_nothing(closed, way):
    """401 on each route that needs one, whatever is wrong with it, and nothing changes."""
    before, credential = head(closed), bad_ones()[way]
    opened = [
        f"{route}: {answer.status}"
        for route in ALL
        if route.need is not Need.OPEN and not is_page(route)
        and (answer := ask(closed, route.method, route.path, credential)).status != 401
    ]  # fmt: skip
    assert not opened
    assert head(closed) == before


def is_page(route):
    """Say whether it leads a browser to where one signs in."""
    return route.endpoint in {"pages.status", "cdb_rest.pages"}


def test_a_refusal_says_how_to_ask_and_never_what_was_sent(closed):
    """WWW-Authenticate, a code, the request's id; not the credential."""
    for way, credential in bad_ones().items():
        answer = ask(closed, "GET", "/api/v1/global-tags", credential)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer"), way
        assert answer.json()["code"] == "unauthenticated"
        assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
        assert answer.headers["Cache-Control"] == "no-store"
        if credential and len(credential) > 10:
            assert credential not in answer.data.decode()


@pytest.mark.parametrize("role", [None, *Role])
def test_each_role_opens_the_routes_of_the_table_and_no_other(closed, role):
    """403 below what a route needs; from there on the answer is about the request itself.

    Writes are of what is not there, so that they may all be tried.
    """
    wrong = []
    for route in ALL:
        path = route.path if route.method == "GET" else route.path_to("none")
        answer = ask(closed, route.method, path, of(role, ".*"))
        if (answer.status in {401, 403}) is may(role, route.need):
            wrong.append(f"{route}: {answer.status}")
    assert not wrong


def may(role, need):
    """Say whether a role on every tag is enough for what a route needs."""
    if need is Need.OPEN or need is Need.VERIFIED:
        return True
    wanted = Role.READER if need is Need.READ else need
    return role is not None and role.includes(wanted)


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "root"])
def test_each_right_credential_opens(closed, algorithm):
    """By the shared secret, by either kind of an issuer's key, by the token of the first steps."""
    admin = claims(Role.ADMIN)
    credential = {
        "HS256": token(admin),
        "RS256": token(admin, rsa_key(), "RS256", kid="r1"),
        "ES256": token(admin, ec_key(), "ES256", kid="e1"),
        "root": ROOT,
    }[algorithm]
    assert ask(closed, "GET", "/api/v1/global-tags", credential).status == 200
    name = f"of_{algorithm}"
    assert ask(closed, "POST", "/api/v1/global-tags", credential, {"name": name}).status == 201
    told = ask(closed, "GET", f"/api/v1/global-tags/{name}/history", credential).json()
    assert told["entries"][0]["actor"] == ("admin" if algorithm == "root" else "alice")


BODIES = {
    "stream.stream": ("?tag=data&type=Beam&major=9", "bytes"),
    "stream.freezeds": ("", {"user": "bob", "token": "t"}),
    "glitchflow.train": ("", {"user": "bob", "token": "t"}),
    "glitchflow.streamdata": ("", {"h": [1.0, 2.0], "t": [0.0, 1.0]}),
    "glitchflow.cleanbuf": ("", {"msg": "clean"}),
    "v1.create_tag": ("", {"name": TAG}),
    "v1.clone_tag": ("", {"name": "copy"}),
    "v1.unfreeze": ("", {"reason": "why not"}),
    "v1.insert_iovs": ("", {"iovs": [{"payload_type": "Beam", "start": [9, 0], "name": "b9"}]}),
    "v1.attach_list": ("", {"payload_list": "Beam_1"}),
    "v1.delete_iov": ("?major=1&minor=0&major_end=5&minor_end=0", None),
    "cdb_rest.create_tag": ("", {"name": TAG, "status": "unlocked"}),
    "cdb_rest.attach_list": ("", {"global_tag": TAG, "payload_list": "Beam_1"}),
    "cdb_rest.create_iovs": (
        "",
        [{"payload_url": "u", "major_iov": 9, "minor_iov": 0, "payload_list": "Beam_1",
          "payload_type": "Beam", "checksum": "c"}],
    ),
    "cdb_rest.attach_iov": ("", {"payload_list": "Beam_1", "piov_id": 1}),
}  # fmt: skip
"""The query and body with which each of these would touch the tag (or the streaming buffer)."""
OF_NO_TAG = {
    "v1.store_payload", "v1.create_type", "v1.delete_type", "v1.create_list",
    "cdb_rest.create_type", "cdb_rest.delete_type", "cdb_rest.create_list", "cdb_rest.create_iov",
    "cdb_rest.create_status", "v1.list_tokens", "v1.make_token", "v1.revoke_token",
}  # fmt: skip


@pytest.mark.parametrize("pattern", ["dat", "ata", "data.+", "(?i)stream2", "^$", "other|dat"])
@pytest.mark.parametrize("reads", [False, True], ids=["blind", "reading"])
def test_a_role_on_other_tags_is_none_here(closed, pattern, reads):
    """What would touch a tag that no grant covers: 403 to who may read it, to others 404."""
    before = head(closed)
    credential = of(Role.ADMIN, pattern, **({CLAIMS[Role.READER]: ".*"} if reads else {}))
    wrong = []
    for route in WRITES:
        if route.endpoint in OF_NO_TAG:
            continue
        query, body = BODIES.get(route.endpoint, ("", None))
        answer = ask(closed, route.method, route.path + query, credential, body)
        wanted = {403} if reads else {403, 404}
        if answer.status not in wanted:
            wrong.append(f"{route}: {answer.status} {answer.data[:100]}")
    assert not wrong
    assert head(closed) == before


def test_the_streamed_tag_is_asked_for_by_its_name(closed):
    """Who may produce for `stream` streams; a like name is another tag."""
    segment = {"h": [1.0, 2.0], "t": [time.time() // 1, 1.0]}
    for tags, status in (("strea", 404), ("stream.", 404), ("stream", 201)):
        answer = ask(closed, "POST", "/stream", of(Role.PRODUCER, tags), segment)
        assert answer.status == status, (tags, answer.data)


def test_a_list_does_not_lead_around_the_tag_that_has_it(closed):
    """An admin of another tag cannot take a list away from this one by its number."""
    ask(closed, "POST", "/api/v1/global-tags", ROOT, {"name": "mine"})
    mine = of(Role.ADMIN, "mine", **{CLAIMS[Role.READER]: ".*"})
    before = head(closed)
    path = "/api/v1/global-tags/mine/payload-lists/Beam"
    assert ask(closed, "PUT", path, mine, {"payload_list": "Beam_1"}).status == 403
    told = {"global_tag": "mine", "payload_list": "Beam_1"}
    assert ask(closed, "PUT", "/api/cdb_rest/pl_attach", mine, told).status == 403
    assert head(closed) == before


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Run both tiers, reads open."""
    folder = tmp_path_factory.mktemp("opened")
    with pair(folder, ADMIN_TOKEN=ROOT, JWT_SECRET=SECRET, RATE_FAILURES="none") as running:
        fill(running)
        yield running


def test_where_reads_are_open_no_credential_stops_them(opened):
    """An expired token must not stop a job from reading what everybody may read."""
    for route in ALL:
        if route.need is Need.READ:
            for credential in (None, "a.b.c", token({"sub": "alice", "exp": 1}, SECRET)):
                answer = ask(opened, route.method, route.path, credential)
                assert answer.status not in {401, 403}, route


def test_where_reads_are_open_writes_still_ask(opened):
    """Nothing changes for nobody."""
    before = head(opened)
    for route in WRITES:
        assert ask(opened, route.method, route.path, None).status == 401, route
    assert head(opened) == before


def test_what_one_says_to_be_called_does_not_count(opened):
    """`?user=`, `user` and `author` name nobody once callers are verified."""
    alice = token({"sub": "alice", "exp": int(time.time()) + 60, "b2cdb:admin": ".*"}, SECRET)
    ask(opened, "POST", "/api/v1/global-tags?user=mallory", alice, {"name": "one"})
    body = {"name": "two", "status": "unlocked", "author": "mallory"}
    ask(opened, "POST", "/api/cdb_rest/gt", alice, body)
    ask(opened, "POST", "/api/v1/global-tags/one/freeze", alice, {"user": "mallory"})
    for name in ("one", "two"):
        told = ask(opened, "GET", f"/api/v1/global-tags/{name}/history", None).json()
        assert {entry["actor"] for entry in told["entries"]} == {"alice"}


def test_who_may_not_is_counted_too(tmp_path):
    """A caller without the role hammers no more than one who has it."""
    alice = token({"sub": "alice", "exp": int(time.time()) + 60}, SECRET)
    with pair(tmp_path, JWT_SECRET=SECRET, RATE_WRITES="5/day") as both:
        tags = "/api/v1/global-tags"
        answers = [ask(both, "POST", tags, alice, {"name": "a"}).status for _ in range(7)]
    assert answers == [403] * 5 + [429] * 2


@pytest.fixture(scope="module")
def laptop(tmp_path_factory):
    """Run both tiers with nothing set."""
    with pair(tmp_path_factory.mktemp("laptop")) as running:
        yield running


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        (None, None, 201),
        (None, "http://{here}", 201),
        (None, "https://evil.example", 403),
        (None, "http://localhost:1", 403),
        (None, "null", 403),
        (None, "http://[", 403),
        ("evil.example:5000", "http://evil.example:5000", 403),
    ],
)
def test_on_a_laptop_pages_of_other_sites_change_nothing(laptop, host, origin, status):
    """Neither from elsewhere nor by a name that is pointed at this machine."""
    here = laptop.logic.url.removeprefix("http://")
    told = {} if origin is None else {"Origin": origin.format(here=here)}
    told |= {} if host is None else {"Host": host}
    answer = laptop.post("/stream", b'{"h": [1.0, 2.0], "t": [1.0, 1.0]}', **told)
    assert answer.status == status
    if status == 403:
        assert answer.json()["code"] == "cross_site"


def test_a_head_is_asked_as_a_get_and_options_say_what_there_is(closed):
    """No method leads around the question."""
    assert ask(closed, "HEAD", "/api/v1/global-tags", None).status == 401
    assert ask(closed, "HEAD", "/api/v1/global-tags", ROOT).status == 200
    assert ask(closed, "OPTIONS", "/api/v1/global-tags", None).status == 200
    assert ask(closed, "POST", "/livez", None).status == 405
