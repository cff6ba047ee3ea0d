"""The logic tier as the library calls it: reads and acts, each as patient as its policy says.

Every write carries an Idempotency-Key, so that one whose answer was lost is asked for again and
answered, not done twice. Knows nothing of tags.
"""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING, TypeVar

from condstore.access import NOBODY, Access
from condstore.calls import Call
from condstore.errors import UnexpectedAnswer, UsageError
from condstore.results import parse
from condstore.results.parsing import optional
from condstore.retry import persist
from condstore.transport import Transport, json_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import requests

    from condstore.results import Json
    from condstore.retry import Policy
    from condstore.transport import Timeouts

T = TypeVar("T")

NOTHING: Mapping[str, str] = {}


class Server:
    """The replicas at `urls`, entered by `access`; `user` is who acts, for the history.

    A server that verifies who asks heeds the token alone, and `user` not at all.
    """

    def __init__(
        self,
        urls: tuple[str, ...],
        policy: Policy,
        timeouts: Timeouts,
        user: str | None,
        access: Access = NOBODY,
    ) -> None:
        self._transport = Transport(urls, timeouts, access)
        self._policy = policy
        self._who = {"user": user} if user else NOTHING

    @property
    def url(self) -> str:
        """The base URL that answered last."""
        return self._transport.url

    @property
    def lsn(self) -> int:
        """The newest ledger position seen; what is read next is at least as new."""
        return self._transport.lsn

    def read(self, make: Callable[[Json], T], path: str, params: Mapping[str, str] = NOTHING) -> T:
        """Return the value of what stands at `path`."""
        return self.get(make, Call("GET", path, params))

    def get(self, make: Callable[[Json], T], call: Call) -> T:
        """Return the value of the answer to a call that changes nothing."""
        return self.value(make, self.send(call))

    def value(self, make: Callable[[Json], T], response: requests.Response) -> T:
        """Return the value of an answer; raise `UnexpectedAnswer` if it is somebody else's."""
        return parse(make, json_of(response), self.url)

    def pages(self, path: str, field: str, asked: Mapping[str, str] = NOTHING) -> Iterator[Json]:
        """Yield the rows of every page of a list that is paged by name."""

        def page(answer: Json) -> tuple[list[Json], str | None]:
            return list(answer[field]), optional(str, answer["next"])

        for rows in self.paged(page, path, asked):
            yield from rows

    def paged(
        self,
        page: Callable[[Json], tuple[T, object]],
        path: str,
        asked: Mapping[str, str] = NOTHING,
        *,
        by: str = "after",
    ) -> Iterator[T]:
        """Yield what `page` reads of each page; it also tells what to ask for the next one `by`."""
        params = dict(asked)
        while True:
            rows, following = self.read(page, path, params)
            yield rows
            if following is None:
                return
            if params.get(by) == str(following):
                raise UnexpectedAnswer(f"{self.url}{path} gives the same page again and again")
            params[by] = str(following)

    def ask(self, make: Callable[[Json], T], path: str, question: Json) -> T:
        """Return the value of the answer to a question too long for a URL; nothing changes."""
        return self.get(make, Call("POST", path, json=question))

    def act(self, make: Callable[[Json], T], call: Call, key: str | None = None) -> T:
        """Do what the call says, once, and return the value of the answer."""
        return self.value(make, self.write(self.signed(call), key))

    def signed(self, call: Call) -> Call:
        """Return the call with who acts, for the history."""
        return dataclasses.replace(call, params={**call.params, **self._who})

    def write(self, call: Call, key: str | None = None) -> requests.Response:
        """Send a call that changes something; without a `key` it is an act of its own."""
        headers = {**call.headers, "Idempotency-Key": _key(key) if key else fresh_key()}
        return self.send(dataclasses.replace(call, headers=headers))

    def send(self, call: Call) -> requests.Response:
        """Send a call until it is answered or patience ends."""
        return persist(lambda: self._transport.send(call), self._policy)

    def open(self, call: Call) -> requests.Response:
        """Send a call once, whose body the caller reads, and so tries again as a whole."""
        return self._transport.send(dataclasses.replace(call, stream=True))

    def close(self) -> None:
        """Close the connections that are open and idle; a later call opens new ones."""
        self._transport.close()


def _key(key: str) -> str:
    """Return the key if a header can carry it; what is too long the server says."""
    if not (key.isascii() and key.isprintable() and key == key.strip()):
        raise UsageError(f"key={key!r}: an idempotency key is printable ASCII")
    return key


def fresh_key() -> str:
    """Return a key for one intention: its retries are one act, the next call is another."""
    return f"once-{uuid.uuid4().hex}"
