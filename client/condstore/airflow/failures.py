"""Which failures of a task are worth another try: those that time may cure."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowFailException

from condstore.errors import Denied, Malformed, NotFound, TooLarge, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

FINAL = (UsageError, Malformed, Denied, NotFound, TooLarge)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Fail the task at once, whatever retries it has, where the same call will fail again.

    A conflict may be gone at the next try, a server that is away comes back: those are tried again.
    """
    try:
        yield
    except FINAL as error:
        raise AirflowFailException(str(error)) from error
