"""What is remembered of credentials: only good ones, not for long, not too many."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from issuer import ALICE, NOW, SECRET, token

from datastore_logic.access.jwt_bearer import JwtVerifier
from datastore_logic.access.roles import ANYBODY, Principal
from datastore_logic.access.settings import JwtSettings
from datastore_logic.access.verified import KEPT, Verified
from datastore_logic.errors import Unauthenticated

LEEWAY = 30.0
END = NOW + 20
"""When the credentials of these tests end, unless they say otherwise."""


class Judge:
    """Knows `name:end` until then and LEEWAY, and counts how often it was asked."""

    def __init__(self):
        self.asked = []
        self.revoked = set()

    def __call__(self, credential, now):
        """Return whose it is."""
        self.asked.append(credential)
        name, _, end = credential.partition(":")
        expires = float(end) if end else None
        if name in self.revoked or name == "bad" or (expires and now >= expires + LEEWAY):
            raise Unauthenticated("no")
        return Principal(name, (), "jwt", expires)


@pytest.fixture
def judge():
    """Return a judge that counts."""
    return Judge()


@pytest.fixture
def verified(judge):
    """Return what remembers two of its judgements."""
    return Verified(judge, LEEWAY, most=2)


def test_the_next_request_is_not_verified_again(judge, verified):
    """For a minute."""
    assert {verified("alice", NOW + second).subject for second in range(60)} == {"alice"}
    assert len(judge.asked) == 1
    verified("alice", NOW + KEPT)
    assert len(judge.asked) == 2


def test_nothing_is_kept_past_its_end(judge, verified):
    """Its end and the leeway, to the moment."""
    sent = f"alice:{END}"
    verified(sent, NOW)
    verified(sent, END + LEEWAY - 0.1)
    assert len(judge.asked) == 1
    with pytest.raises(Unauthenticated):
        verified(sent, END + LEEWAY)


def test_what_was_taken_back_ends_within_a_minute(judge, verified):
    """A key that its issuer has taken out, a secret that was changed."""
    verified("alice", NOW)
    judge.revoked.add("alice")
    assert verified("alice", NOW + KEPT - 0.1)
    with pytest.raises(Unauthenticated):
        verified("alice", NOW + KEPT)


def test_being_used_does_not_keep_it_longer(judge, verified):
    """What is asked for every second is verified every minute."""
    for second in range(600):
        verified("alice", NOW + second)
    assert len(judge.asked) == 10


def test_a_clock_that_is_set_back_keeps_nothing_longer(judge, verified):
    """What was verified later than now is verified again."""
    verified("alice", NOW)
    verified("alice", NOW - 3600)
    assert len(judge.asked) == 2


def test_what_is_refused_is_not_kept(judge, verified):
    """It may be good in a moment: its key is on the way."""
    judge.revoked.add("alice")
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            verified("alice", NOW)
    judge.revoked.clear()
    assert verified("alice", NOW).subject == "alice"
    assert len(judge.asked) == 4


def test_a_flood_of_bad_ones_pushes_no_good_one_out(judge, verified):
    """Whoever has no key cannot make the others' requests slower."""
    verified("alice", NOW)
    for number in range(1000):
        with pytest.raises(Unauthenticated):
            verified(f"bad:{number}", NOW)
    assert len(verified) == 1
    verified("alice", NOW)
    assert judge.asked.count("alice") == 1


def test_of_too_many_the_oldest_goes(judge, verified):
    """The one that was verified longest ago."""
    for name in ("one", "two"):
        verified(name, NOW)
    verified("one", NOW + KEPT)  # verified anew: the newest now
    verified("three", NOW + KEPT)
    assert len(verified) == 2
    verified("one", NOW + KEPT)
    assert judge.asked == ["one", "two", "one", "three"]
    verified("two", NOW + KEPT)
    assert judge.asked[-1] == "two"


def test_credentials_that_differ_in_a_letter_are_two(verified):
    """Or only in case."""
    assert [verified(sent, NOW).subject for sent in ("alice", "Alice", "alic")] == [
        "alice", "Alice", "alic",
    ]  # fmt: skip


def test_the_credential_itself_is_not_kept(verified):
    """Only its SHA-256: who reads this process's memory finds none."""
    verified("alice-and-her-secret", NOW)
    (key,) = verified._entries
    assert (len(key), b"alice" in key) == (32, False)


def test_many_threads_may_ask_at_once():
    """Its bound holds, and everybody is who they are."""
    verified, wrong = Verified(Judge(), LEEWAY, most=10), []

    def ask(thread):
        for number in range(500):
            name = f"user{(number * (thread + 1)) % 40}"
            if verified(name, NOW).subject != name or len(verified) > 10:
                wrong.append(name)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []


@given(end=st.integers(-100, 200), first=st.floats(0, 100), then=st.floats(-100, 400))
def test_a_real_token_is_good_from_memory_exactly_when_it_is_good(end, first, then):
    """Whatever was verified before, and when."""
    judge = JwtVerifier(JwtSettings.from_environ({"JWT_SECRET": SECRET, "JWT_LEEWAY": "30"}))
    verified = Verified(judge.verify, LEEWAY)
    sent = token({"sub": ALICE["sub"], "exp": int(NOW) + end})

    def good(judge, now):
        try:
            return judge(sent, now).subject == "alice"
        except Unauthenticated:
            return False

    good(verified, NOW + first)
    assert good(verified, NOW + then) is good(judge.verify, NOW + then)


class Remembering(RuleBasedStateMachine):
    """Any order of questions: never more than may be kept, never a wrong answer."""

    def __init__(self):
        super().__init__()
        self.judge = Judge()
        self.verified = Verified(self.judge, LEEWAY, most=3)
        self.now = NOW

    @rule(name=st.sampled_from(["a", "b", "c", "d", "bad"]), end=st.integers(0, 3))
    def ask(self, name, end):
        """Ask for a credential that ends then."""
        sent, until = f"{name}:{NOW + 40 * end}", NOW + 40 * end + LEEWAY
        if name == "bad" or self.now >= until:
            with pytest.raises(Unauthenticated):
                self.verified(sent, self.now)
        else:
            assert self.verified(sent, self.now).subject == name

    @rule(seconds=st.floats(-10, 50))
    def wait(self, seconds):
        """Let time pass, or a clock be set."""
        self.now += seconds

    @invariant()
    def bounded(self):
        """It keeps three at most."""
        assert len(self.verified) <= 3


TestRemembering = Remembering.TestCase


def test_what_never_ends_is_kept_as_long():
    """Not every kind of credential says when it ends."""
    verified = Verified(lambda _credential, _now: ANYBODY, LEEWAY)
    assert verified("x", NOW) is verified("x", NOW + 1)
