"""One question to the databuffer, over connections that are kept alive, made after the fork.

A question that was not sent, or that may safely be sent twice, is sent a second time; any other
that breaks raises `OutcomeUnknown`. No proxy settings are read. By https, who has no certificate
that BUFFER_CA vouches for is asked nothing.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    SSLError,
)

from datastore_logic.errors import BufferAway, OutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from urllib3.response import BaseHTTPResponse

    from datastore_logic.config import Config

CONNECT_TIMEOUT: Final = 2.0
_NOT_SENT: Final = (NewConnectionError, ConnectTimeoutError)
_STRANGER: Final = "The databuffer's certificate is not one to trust: see BUFFER_CA."


@dataclass(frozen=True, slots=True)
class Question:
    """A request; `read` seconds may pass until its answer, `twice` it may do no harm.

    What streams may wait for that long also to connect, and to send its next piece: urllib3 has one
    time for both, and a databuffer that writes to a slow disk takes no bytes meanwhile.
    """

    method: str
    path: str
    body: bytes | Iterable[bytes] | None
    headers: Mapping[str, str]
    read: float
    twice: bool
    preload: bool

    @property
    def streams(self) -> bool:
        """Whether its body can be sent only once."""
        return not (self.body is None or isinstance(self.body, bytes))

    def showing(self, secret: str) -> Question:
        """Return it with a secret shown."""
        return replace(self, headers={**self.headers, "Authorization": f"Bearer {secret}"})


class Pool:
    """The connections of a process to the databuffer. Constructing it opens no socket."""

    def __init__(self, config: Config) -> None:
        scheme, _, host, port, self._prefix, _, _ = urllib3.util.parse_url(config.buffer_url)
        settings: dict[str, Any] = {"maxsize": config.threads + 2, "retries": False}
        if scheme == "https":
            settings["ssl_context"] = ssl.create_default_context(cafile=config.buffer_ca)
        make = urllib3.HTTPSConnectionPool if scheme == "https" else urllib3.HTTPConnectionPool
        self._pool = make(str(host), port, **settings)

    def answered(self, question: Question) -> BaseHTTPResponse:
        """Ask, and once more where that can do no harm; any status is an answer.

        Raises:
            BufferAway: none came, and nothing was done.
            OutcomeUnknown: none came, and it may have been done.
        """
        connect = question.read if question.streams else CONNECT_TIMEOUT
        wait = urllib3.Timeout(connect=connect, read=question.read)
        sent = False
        for last in (not question.twice, True):
            try:
                return self._pool.urlopen(
                    question.method,
                    (self._prefix or "") + question.path,
                    body=question.body,
                    headers=question.headers,
                    redirect=False,
                    timeout=wait,
                    preload_content=question.preload,
                )
            except HTTPError as reason:
                if _is_a_stranger(reason):
                    raise BufferAway(_STRANGER) from reason
                reached = not isinstance(reason, _NOT_SENT)
                sent = sent or reached
                if last or not reached:
                    raise _silence(question.method, sent=sent) from reason
        raise AssertionError  # pragma: no cover


def done_with(response: BaseHTTPResponse) -> None:
    """Give a connection back whose answer is of no interest."""
    response.drain_conn()
    response.release_conn()


def _silence(method: str, *, sent: bool) -> BufferAway | OutcomeUnknown:
    """Return what it means that no answer came: a write that was sent may have been stored."""
    if sent and method not in {"GET", "HEAD"}:
        return OutcomeUnknown(
            "The databuffer did not answer; it may have stored this."
            " Ask again, with the same Idempotency-Key if there was one."
        )
    return BufferAway(f"The databuffer {'does not answer' if sent else 'cannot be reached'}.")


def _is_a_stranger(reason: HTTPError) -> bool:
    """Say whether it is that the server has no certificate we know; then nothing was sent."""
    cause = reason.args[0] if isinstance(reason, SSLError) and reason.args else None
    return isinstance(cause, ssl.SSLCertVerificationError)
