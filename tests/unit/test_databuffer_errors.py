"""The one table from exception class to status and code covers the tree."""

import pytest

from databuffer import errors
from databuffer.web.errors import TABLE


def leaves(kind):
    """Return the classes below one that have none below themselves."""
    children = kind.__subclasses__()
    return [leaf for child in children for leaf in leaves(child)] if children else [kind]


def answered():
    """Return what may be raised while serving, in a fixed order."""
    found = set(leaves(errors.DatabufferError)) - set(leaves(errors.CannotStart))
    return sorted(found, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", answered())
def test_every_error_of_a_request_has_its_own_line(kind):
    """Whatever may be raised while serving is answered on purpose; no ancestor stands in."""
    assert kind in TABLE
