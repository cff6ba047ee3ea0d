"""The one table from exception class to status covers both trees."""

import pytest

from datastore_logic import errors
from datastore_logic.domain import errors as domain

MALFORMED = (domain.BadValue, domain.UnfreezeNeedsReason)


def descendants(kind):
    """Return the classes below one, itself included."""
    return [kind, *(below for child in kind.__subclasses__() for below in descendants(child))]


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in descendants(errors.LogicError)
        if kind not in {errors.LogicError, errors.BadConfiguration}
    ],
)
def test_every_error_of_this_tier_has_a_status(kind):
    """None of ours is a 500 by oversight."""
    assert any(parent in errors.STATUS for parent in kind.__mro__)


@pytest.mark.parametrize("kind", descendants(domain.BadValue) + descendants(domain.StateForbids))
def test_what_callers_get_wrong_is_never_5xx(kind):
    """A bad value is 400, a reason that is not given too; what a state forbids is 409."""
    status = next(errors.STATUS[parent] for parent in kind.__mro__ if parent in errors.STATUS)
    assert status == (400 if issubclass(kind, MALFORMED) else 409)


def test_whatever_is_unavailable_says_when_to_come_back():
    """Every 503 of ours carries Retry-After."""
    for kind, status in errors.STATUS.items():
        if status == 503 and issubclass(kind, errors.ViewError):
            assert kind.retry_after


def test_a_refusal_of_the_databuffer_keeps_its_status_and_words():
    """413 stays 413, 507 stays 507; they are not ours to rename."""
    refused = errors.BufferRefused(507, "The volume is full.", "volume_full")
    assert errors.status_of(refused) == 507
    assert errors.status_of(ValueError("a defect")) == 500
