"""Patience: capped, spread, and never sooner than the server asks."""

import pytest

from condstore.errors import Conflict, ServerAway
from condstore.retry import HASTY, PATIENT, Policy, persist
from condstore.retry_async import persist_async

POLICY = Policy(attempts=5, first=1.0, cap=3.0, patience=100.0)


class Flaky:
    """Fails with the given errors, then answers."""

    def __init__(self, *errors):
        self.errors = list(errors)

    def __call__(self):
        """Raise the next error, or answer."""
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    async def later(self):
        """Do the same, asynchronously."""
        return self()


def away(seconds=None):
    """Return a "not now" with this Retry-After."""
    return ServerAway("away", retry_after=seconds)


def test_pauses_grow_to_the_cap():
    """Doubling, until the cap."""
    slept = []
    persist(Flaky(*[away()] * 4), POLICY, sleep=slept.append, chance=lambda: 1.0)
    assert slept == [1.0, 2.0, 3.0, 3.0]


def test_pauses_are_spread_over_their_whole_length():
    """Callers that failed together do not come back together."""
    slept = []
    chances = iter([0.0, 0.5, 0.9])
    persist(Flaky(*[away()] * 3), POLICY, sleep=slept.append, chance=lambda: next(chances))
    assert slept == [0.0, 1.0, pytest.approx(2.7)]


def test_retry_after_is_a_lower_bound():
    """What the server asked for is waited for, the spread comes on top."""
    slept = []
    persist(Flaky(away(7.0)), POLICY, sleep=slept.append, chance=lambda: 0.25)
    assert slept == [7.25]


def test_attempts_are_limited():
    """The last failure is the caller's."""
    slept = []
    with pytest.raises(ServerAway):
        persist(Flaky(*[away()] * 5), POLICY, sleep=slept.append)
    assert len(slept) == 4


def test_a_server_that_says_when_to_come_again_is_asked_while_patience_lasts():
    """What restarts comes back; attempts are for who does not know whether anybody is there."""
    slept = []
    wait = {"sleep": slept.append, "chance": lambda: 0.0}
    assert persist(Flaky(*[away(1.0)] * 20), POLICY, **wait) == "answer"
    assert slept == [1.0] * 20
    with pytest.raises(ServerAway):
        persist(Flaky(*[away(1.0)] * 101), POLICY, **wait)
    once = Policy(attempts=1, first=0, cap=0, patience=100.0)
    with pytest.raises(ServerAway):
        persist(Flaky(away(1.0)), once, **wait)


def test_a_wait_longer_than_all_patience_is_not_begun():
    """Asked to wait for an hour, it gives up at once."""
    slept = []
    with pytest.raises(ServerAway):
        persist(Flaky(away(3600.0)), POLICY, sleep=slept.append)
    assert slept == []


def test_a_refusal_is_final():
    """Only "away" is tried again."""
    with pytest.raises(Conflict):
        persist(Flaky(Conflict("no", status=409)), POLICY, sleep=lambda _: pytest.fail("slept"))


async def test_the_asynchronous_twin_does_the_same():
    """Same pauses, same answer."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    flaky = Flaky(away(), away(2.0))
    assert await persist_async(flaky.later, POLICY, sleep=sleep, chance=lambda: 1.0) == "answer"
    assert slept == [1.0, 4.0]


@pytest.mark.parametrize("policy", [HASTY, PATIENT])
def test_the_policies_in_use_end(policy):
    """Nobody waits for ever."""
    slept = []
    with pytest.raises(ServerAway):
        persist(Flaky(*[away()] * 1000), policy, sleep=slept.append)
    assert sum(slept) <= policy.patience
