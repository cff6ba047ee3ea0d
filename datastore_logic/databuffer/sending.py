"""What goes along with every request to the databuffer: its id, whoever watches, our secret.

A databuffer that does not take the secret that the tiers share is away, as far as callers go: they
have done nothing wrong.
"""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from datastore_logic.access.caller import subject
from datastore_logic.access.tier_secret import TierSecret
from datastore_logic.databuffer.answers import Answer
from datastore_logic.databuffer.pool import Pool, Question, done_with
from datastore_logic.databuffer.refusals import expect, told
from datastore_logic.errors import BufferAway
from datastore_logic.logs import REQUEST_ID
from datastore_logic.watch import Call, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from urllib3.response import BaseHTTPResponse

    from datastore_logic.config import Config
    from datastore_logic.watch import Around

LEDGER_HEAD: Final = "/ledger/head"
_NOT_LET_IN: Final = frozenset({401, 403})
_NOT_SHARED: Final = "the tiers do not share a BUFFER_TOKEN"
_SAID_AGAIN: Final = 60.0
"""Seconds between two lines in the log that the tiers share no secret."""

log = logging.getLogger(__name__)


class Sending:
    """Sends this tier's requests to the databuffer, `around` each of which something is done."""

    def __init__(self, config: Config, around: Around) -> None:
        self._pool = Pool(config)
        self._read_timeout = config.buffer_timeout
        self._secret = TierSecret(config.access.buffer_token)
        self._around = around
        self._complained_at = -math.inf

    def get(self, path: str) -> Answer:
        """Read; any status but that we are not let in is an answer."""
        return Answer.of(self.send("GET", path, twice=True))

    def post(
        self,
        path: str,
        body: bytes,
        key: str | None = None,
        *,
        twice: bool = False,
        acting: bool = False,
    ) -> Answer:
        """Write, once more if there is a key; `acting`, it is done in our caller's name."""
        headers = {} if key is None else {"Idempotency-Key": key}
        if acting and (actor := subject()):
            headers["X-Actor"] = quoted(actor)
        return Answer.of(self.send("POST", path, body, headers, twice=twice or key is not None))

    def send(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
        *,
        timeout: float | None = None,
        twice: bool = False,
        preload: bool = True,
    ) -> BaseHTTPResponse:
        """Send anything; `timeout` s may pass until the answer, whose bytes are read if `preload`.

        Raises:
            BufferAway: it was not done.
            OutcomeUnknown: it may have been done.
        """
        call = Call(name_of(method, path), headers or {})
        if request_id := REQUEST_ID.get():
            call.headers["X-Request-Id"] = request_id
        with self._around(call):
            read = timeout or self._read_timeout
            question = Question(method, path, body, call.headers, read, twice, preload)
            response = self._shown(question) if self._secret else self._pool.answered(question)
            call.status = response.status
            return self._let_in(response)

    def proven(self) -> tuple[str, ...]:
        """Return the secrets, that first which the databuffer takes; ask it if there are two."""
        if len(self._secret.choices()) > 1:
            told(expect(self.get(LEDGER_HEAD)), "ledger")
        return self._secret.choices()

    def _shown(self, question: Question) -> BaseHTTPResponse:
        """Send it with the secret; what was refused, with the other one, if it can be repeated."""
        first, *others = self.proven()[:1] if question.streams else self._secret.choices()
        response = self._pool.answered(question.showing(first))
        for other in others if response.status in _NOT_LET_IN else ():
            done_with(response)
            response = self._pool.answered(question.showing(other))
            if response.status not in _NOT_LET_IN:
                self._secret.took(other)
        return response

    def _let_in(self, response: BaseHTTPResponse) -> BaseHTTPResponse:
        """Return an answer, unless it is that we are not known: that is no fault of our caller.

        Raises:
            BufferAway: it is.
        """
        if response.status not in _NOT_LET_IN:
            return response
        done_with(response)
        if time.monotonic() - self._complained_at >= _SAID_AGAIN:
            self._complained_at = time.monotonic()
            log.error("the databuffer answers %d: %s", response.status, _NOT_SHARED)
        raise BufferAway(f"The databuffer does not let this tier in: {_NOT_SHARED}.")


def quoted(text: str) -> str:
    """Return any text as a part of a path or a header: ASCII, without space or slash."""
    return quote(text, safe="")
