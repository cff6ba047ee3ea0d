"""The library and the command with servers that want to know who asks."""

import stat
import subprocess
import time
from datetime import timedelta

import command
import issuer
import pytest
import servers

from condstore import Client, Digest, NewIOV, PayloadFile, Producer
from condstore.commands import completing
from condstore.errors import Conflict, Denied, NotFound, TooOften, Unauthenticated
from condstore.moments import Moment
from condstore.results import FreezeProposed, Grant, TagFrozen
from condstore.retry import ONCE, PATIENT

ADMIN = "the-admin-of-these-tests-0123456789"
BUFFER = servers.TIER_SECRET
KEYS = {"ADMIN_TOKEN": ADMIN, "FREEZE_APPROVALS": "2"}


@pytest.fixture(scope="module")
def tiers(tmp_path_factory):
    """Run both tiers; a freeze takes two."""
    folder = tmp_path_factory.mktemp("tokens")
    with servers.databuffer(folder, BUFFER_TOKEN=BUFFER) as buffer:
        more = {**KEYS, "BUFFER_TOKEN": BUFFER, "BUFFER_PUBLIC_URL": buffer.url}
        with servers.logic(buffer.url, folder, workers=1, **more) as logic:
            yield buffer, logic


@pytest.fixture(scope="module")
def admin(tiers):
    """Return a client of the first admin."""
    return Client(tiers[1].url, token=ADMIN)


@pytest.fixture
def holder(tiers, admin):
    """Return what makes a token and gives a client that shows it."""

    def give(name, *grants):
        return Client(tiers[1].url, token=admin.make_token(name, grants).token)

    return give


@pytest.fixture
def condstore(tiers, tmp_path):
    """Return the command, shown to be the admin."""
    buffer, logic = tiers
    known = {"CONDSTORE_TOKEN": ADMIN, "BUFFER_TOKEN": BUFFER}
    return command.Command(logic.url, f"{buffer.url}/", tmp_path, **known)


def test_a_token_does_what_it_is_for_and_nothing_else(admin, holder):
    """By role and by tag; the refusal says which role it takes on which tag."""
    for name in ("for-1", "other"):
        admin.create_tag(name)
    editor = holder("for-editor", ("editor", "for-.*"))
    assert editor.insert_iovs("for-1", [NewIOV("Beam", Moment(1), name="b")]).inserted == 1
    with pytest.raises(Denied, match=r"role editor on tag other"):
        editor.insert_iovs("other", [NewIOV("Beam", Moment(1), name="b")])
    with pytest.raises(Denied, match="role admin"):
        editor.lock_tag("for-1")
    assert next(editor.history("for-1")).actor == "for-editor"


def test_who_one_is(tiers, admin, holder):
    """By the admin's secret, by a token, by nothing, by nonsense."""
    first = admin.whoami()
    assert (first.subject, first.kind, first.authentication) == ("admin", "admin", "on")
    found = holder("who-reader", ("reader", ".*")).whoami()
    assert (found.subject, found.kind, found.made_by) == ("who-reader", "token", "admin")
    assert found.grants == (Grant("reader", ".*"),)
    assert found.expires is not None
    with pytest.raises(Unauthenticated, match="set CONDSTORE_TOKEN"):
        Client(tiers[1].url).whoami()
    with pytest.raises(Unauthenticated, match="token= is not taken"):
        Client(tiers[1].url, token="cst_0123456789ab_nonsense").whoami()  # noqa: S106


def test_tokens_are_made_listed_and_revoked(tiers, admin):
    """Listed without their secrets; revoked, it is refused at once."""
    made = admin.make_token("listed", [Grant("producer", "a.*")], timedelta(hours=1))
    (one,) = [token for token in admin.tokens() if token.name == "listed"]
    assert (one.id, one.grants, one.expires) == (made.id, made.grants, made.expires)
    assert (one.made_by, one.revoked, one.expired) == ("admin", None, False)
    assert made.token not in f"{admin.tokens()} {made}"
    with pytest.raises(Conflict):
        admin.make_token("listed", [Grant("reader", ".*")])
    owner = Client(tiers[1].url, token=made.token)
    assert owner.whoami().token == made.id
    assert admin.revoke_token(made.id) > 0
    with pytest.raises(Unauthenticated, match="revoked"):
        owner.whoami()
    (one,) = [token for token in admin.tokens() if token.name == "listed"]
    assert one.revoked is not None
    with pytest.raises(NotFound):
        admin.revoke_token("0123456789ab")


def test_a_link_gives_a_payload_to_whoever_has_it(admin):
    """Without a token, from the databuffer."""
    kept = admin.put_payload(b"linked")
    link = admin.payload_link(kept.digest, 600)
    got = subprocess.run(["curl", "-sf", link.url], capture_output=True, check=True)
    assert got.stdout == b"linked"
    assert link.expires
    with pytest.raises(NotFound):
        admin.payload_link(Digest.of(b"nowhere"))


def test_a_freeze_that_needs_two(admin, holder):
    """One proposes, which freezes nothing; another confirms what was proposed."""
    admin.create_tag("two")
    admin.insert_iovs("two", [NewIOV("Beam", Moment(1), name="b")])
    alice, bob = holder("two-alice", ("admin", "two")), holder("two-bob", ("admin", "two"))
    first = alice.freeze_tag("two", reason="O4")
    assert isinstance(first, FreezeProposed)
    assert (first.state, first.freeze.proposed_by, first.freeze.approvals) == (
        "unlocked", "two-alice", 1,
    )  # fmt: skip
    assert alice.freeze_tag("two", report=False) == FreezeProposed(
        "two", "unlocked", first.freeze, first.lsn, None
    )
    assert bob.tag("two").freeze == first.freeze
    with pytest.raises(Conflict) as other:
        bob.freeze_tag("two", fingerprint="0" * 64)
    assert other.value.code == "other_content"
    done = bob.freeze_tag("two", fingerprint=first.freeze.fingerprint)
    assert isinstance(done, TagFrozen)
    assert done.fingerprint == first.freeze.fingerprint
    assert alice.freeze_tag("two").reference == done.reference


def test_a_proposal_is_withdrawn(admin, holder):
    """By anybody who could have confirmed it; then it waits no more."""
    admin.create_tag("back")
    alice, bob = holder("back-alice", ("admin", ".*")), holder("back-bob", ("admin", ".*"))
    assert isinstance(alice.freeze_tag("back", report=False), FreezeProposed)
    assert bob.withdraw_freeze("back", reason="run 17 is missing").state == "unlocked"
    assert bob.tag("back").freeze is None
    assert isinstance(bob.freeze_tag("back", report=False), FreezeProposed)


def test_the_command_says_that_a_freeze_is_not_done_yet(condstore, admin, holder, tmp_path):
    """Exit status 4, who proposed what, and how another confirms it; then it is 0."""
    admin.create_tag("cmd")
    for name in ("cmd-alice", "cmd-bob"):
        (tmp_path / name).write_text(admin.make_token(name, [("admin", "cmd")]).token)
    condstore.environ.pop("CONDSTORE_TOKEN")
    condstore.environ["CONDSTORE_TOKEN_FILE"] = str(tmp_path / "cmd-alice")
    said = condstore("tag", "freeze", "cmd", "--yes", expect=4)
    assert "cmd is not frozen yet: cmd-alice proposed it, 1 of 2 want it" in said
    assert "another admin confirms it by the same: condstore tag freeze cmd" in said
    assert condstore.json("tag", "freeze", "cmd", "--yes", expect=4)["freeze"]["approvals"] == 1
    condstore.environ["CONDSTORE_TOKEN_FILE"] = str(tmp_path / "cmd-bob")
    assert "proposed     to freeze it, by cmd-alice" in condstore("tag", "show", "cmd")
    assert "as cmd-alice proposed" in condstore("tag", "freeze", "cmd", "--dry-run")
    assert "cmd is frozen, for ever" in condstore("tag", "freeze", "cmd", "--yes")
    log = condstore("tag", "log", "cmd")
    assert "cmd-bob    frozen, fingerprint" in log
    assert "as cmd-alice proposed" in log
    assert "proposed to freeze" in log


def test_the_secret_goes_to_standard_output_alone(condstore):
    """So that it can be redirected into a file; `--json` has it too, a list never."""
    made = condstore("token", "create", "out-1", "--grant", "reader:.*")
    assert made.startswith("cst_")
    assert len(made.splitlines()) == 1
    told = condstore.json("token", "create", "out-2", "-g", "editor:a:b", "--expires", "2h")
    assert told["token"].startswith("cst_")
    assert told["grants"] == [{"role": "editor", "tags": "a:b"}]
    listed = condstore("token", "list", "--json") + condstore("token", "list", "--all")
    assert made.strip() not in listed
    assert told["token"] not in listed
    assert "out-1" in listed


def test_a_token_is_written_for_its_owner_only_and_replaced_in_one_step(condstore, tmp_path):
    """What is there stays unless it is forced; what is shown then has no secret."""
    file = tmp_path / "job.token"
    assert condstore("token", "create", "job-1", "-g", "reader:.*", "-o", str(file)) == ""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first = file.read_text()
    refused = condstore("token", "create", "job-2", "-g", "reader:.*", "-o", str(file), expect=1)
    assert "is there already; --force replaces it" in refused
    assert "job-2" not in condstore("token", "list")
    told = condstore.json("token", "create", "job-2", "-g", "reader:.*", "-o", str(file), "--force")
    assert "token" not in told
    assert file.read_text() != first
    assert [path.name for path in tmp_path.iterdir()] == ["job.token"]
    nowhere = str(tmp_path / "no" / "x")
    refused = condstore("token", "create", "job-3", "-g", "reader:.*", "-o", nowhere, expect=1)
    assert "no token is made" in refused
    assert "job-3" not in condstore("token", "list")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["x", "-g", "editor"], "is not ROLE:TAGS"),
        (["x", "-g", "owner:.*"], "the roles are reader, producer, editor, admin"),
        (["x", "-g", "editor:.*", "--expires", "never"], "is not a time"),
        (["x", "-g", "editor:.*", "--expires", "0d"], "is not a time"),
    ],
)
def test_what_is_no_grant_or_no_time_is_wrong_use(condstore, words, said):
    """Before anything is asked."""
    assert said in condstore("token", "create", *words, expect=2)


def test_a_token_is_revoked_by_its_name_or_id(condstore):
    """One must be meant; unknown ones are refused."""
    condstore("token", "create", "gone-1", "-g", "reader:.*")
    assert "would revoke token" in condstore("token", "revoke", "gone-1", "--dry-run")
    told = condstore.json("token", "revoke", "gone-1", "--yes")
    assert (told["name"], told["revoked"]) == ("gone-1", True)
    assert "there is no token gone-1" in condstore("token", "revoke", "gone-1", "--yes", expect=1)
    assert "gone-1" not in condstore("token", "list")
    assert "revoked 20" in condstore("token", "list", "--all")
    assert "a script says --yes" in condstore("token", "revoke", told["id"], expect=2)


def test_the_names_of_tokens_complete(tiers, admin, monkeypatch):
    """For who may see them."""
    admin.make_token("complete-me", [("reader", ".*")])
    monkeypatch.setenv("CONDSTORE_URL", tiers[1].url)
    monkeypatch.setenv("CONDSTORE_TOKEN", ADMIN)
    assert completing.tokens("complete-") == ["complete-me"]
    monkeypatch.delenv("CONDSTORE_TOKEN")
    assert completing.tokens("complete-") == []


def test_who_am_i_at_the_terminal(condstore):
    """The name, by what, and what one may; without a token, what to do."""
    assert condstore("whoami").splitlines() == [
        "admin",
        "  by     the ADMIN_TOKEN",
        "  may    admin:.*",
    ]
    assert condstore.json("whoami")["kind"] == "admin"
    condstore.environ.pop("CONDSTORE_TOKEN")
    assert "condstore token create NAME" in condstore("whoami", expect=1)


def test_the_databuffer_is_verified_with_its_own_secret(condstore):
    """The command shows it, and says which variable it wants."""
    assert "nothing wrong" in condstore("verify", "--payloads")
    condstore.environ.pop("BUFFER_TOKEN")
    assert "set BUFFER_TOKEN" in condstore("verify", expect=1)


def test_the_doctor_knows_who_asks(condstore):
    """And that the databuffer keeps its buffer to itself."""
    told = {one["what"]: one for one in condstore.json("doctor")}
    assert told["who asks"]["said"] == "admin, may admin:.*, without an end"
    assert told["buffer"]["said"].startswith("OPERATIONAL")
    condstore.environ["CONDSTORE_TOKEN"] = "cst_0123456789ab_nonsense"  # noqa: S105
    told = {one["what"]: one for one in condstore.json("doctor", expect=1)}
    assert told["who asks"]["state"] == "bad"


async def test_what_the_client_leaves_behind_has_no_token(tiers, admin, tmp_path):
    """Neither resume files, nor the cache, nor bundles, nor what is beside them."""
    made = admin.make_token("leaves", [("admin", "leaves")]).token
    keeper = Client(tiers[1].url, token=made, cache=tmp_path / "cache")
    admin.create_tag("leaves")
    resume, payload = tmp_path / "resume", PayloadFile(b"content", "Beam", 1)
    await Producer(tiers[1].url, token=made).put("leaves", [payload], resume=resume)
    keeper.freeze_tag("leaves")
    other = admin.make_token("leaves-2", [("admin", "leaves")]).token
    reference = Client(tiers[1].url, token=other).freeze_tag("leaves").reference
    assert keeper.payload(keeper.resolve(reference, 1).payload("Beam")) == b"content"
    keeper.pull(reference, tmp_path / "bundle.cdb")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"resume", "bundle.cdb"} <= {path.name for path in files}
    assert len(files) > 3
    assert not [path for path in files if made[-43:].encode() in path.read_bytes()]


def test_a_job_with_a_web_token_waits_where_it_asks_too_often(tmp_path):
    """Twenty questions at eight a second: all are answered, and it takes its time."""
    told = {"sub": "carol", "exp": int(time.time()) + 600, "condstore:read": ".*"}
    shown = issuer.token(told, issuer.SECRET)
    limits = {"JWT_SECRET": issuer.SECRET, "RATE_READS": "8/second"}
    with (
        servers.databuffer(tmp_path) as buffer,
        servers.logic(buffer.url, tmp_path, workers=1, **limits) as logic,
    ):
        job = Client(logic.url, token=shown, policy=PATIENT)
        assert (job.whoami().subject, job.whoami().kind) == ("carol", "jwt")
        begin = time.monotonic()
        for _ in range(20):
            assert job.tags() == ()
        assert time.monotonic() - begin > 1.0
        hurried = Client(logic.url, token=shown, policy=ONCE)
        with pytest.raises(TooOften, match="Too many requests"):
            all(hurried.tags() == () for _ in range(20))
