"""What can go wrong, told apart as a caller needs it.

CondstoreError                     exit 1
├── UsageError                     exit 2: the call itself makes no sense
│   └── NotOffline                 a bundle cannot do that: it takes a server
├── ServerAway                     exit 3: nobody answered, or only "not now"; safe to try again
│   └── TooOften                   429: asked more often than one caller may
├── Answered                       an answer that is not a success
│   ├── Refused                    the server understood and said no
│   │   ├── Malformed              400, 422
│   │   ├── Denied                 403: not with this role
│   │   │   └── Unauthenticated    401: no token, or one that is not taken
│   │   ├── NotFound               404
│   │   ├── Conflict               409, 412, 428
│   │   │   ├── Contended          others were always faster; safe to try again
│   │   │   └── Frozen             the tag or the buffer takes nothing more
│   │   └── TooLarge               413
│   └── ServerFailed               5xx that trying again will not cure (a full volume, a defect)
├── NotTrusted                     a certificate that proves nothing about who answers
├── UnexpectedAnswer               whatever answered does not speak our contract
├── DamagedPayload                 bytes that do not hash to the digest they were asked by
├── DamagedBundle                  an offline bundle that is not what was written
├── DamagedBackup                  a backup that is not what was written, or not all of it
├── WrongBackup                    what would mix two histories, or write over something
├── NotWritten                     a file of a backup that the disk did not take: no room, broken
├── NotInBundle                    a moment or type that an offline bundle was not pulled for
├── NotProven                      what a server told of a tag does not give its fingerprint
├── UnreadableFile                 a file that cannot be read, or is not the strain file it seems
├── Identical                      a put that was to refuse what would change no answer
├── TierFailed                     `up`: a server could not start, or died
└── DemoFailed                     a step of the demo did not hold

A server's own words (`detail`), its `code`, the status and the `request_id` that finds the request
in its log are carried along unchanged.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from condstore.access import Credential

_CREDENTIALS = re.compile(r"(?<=://)[^/\s]*@")
_REQUEST_ID = re.compile(r"[\w.:-]{1,128}")
_LONGEST_DETAIL = 500
_FROZEN_CODES = frozenset({"FROZEN", "buffer_frozen", "tag_frozen"})
_CONTENDED_CODE = "conflict"
_FROZEN_TEXT = "Datastore frozen."
_NOT_NOW = frozenset({408, 425, 429, 502, 503, 504})


def public(text: str) -> str:
    """Return the text with users and passwords left out of the URLs in it: it may be logged.

    >>> public("no server at http://alice:secret@a:5000/ or https://token@b")
    'no server at http://a:5000/ or https://b'
    """
    return _CREDENTIALS.sub("", text)


class CondstoreError(Exception):
    """The root: everything this package raises on purpose. No message shows a URL's password."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(public(message))


class UsageError(CondstoreError):
    """The call itself makes no sense."""

    exit_code: ClassVar[int] = 2


class NotOffline(UsageError):
    """A bundle cannot do that: it takes a server."""


class ServerAway(CondstoreError):
    """Nobody answered, or only "not now"; `retry_after` is what the server asked for, in s."""

    exit_code: ClassVar[int] = 3

    def __init__(
        self, message: str, *, retry_after: float | None = None, request_id: str = ""
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.request_id = request_id

    @classmethod
    def nobody_at(
        cls, urls: tuple[str, ...], why: str, variable: str = "CONDSTORE_URL"
    ) -> ServerAway:
        """Say which URL was tried and what to do about it."""
        tried = " or ".join(urls)
        return cls(
            f"no condstore server answers at {tried} ({why}); "
            f"start one with `condstore up`, or point {variable} to yours"
        )


class TooOften(ServerAway):
    """This caller asks more often than it may; others are answered."""


class Answered(CondstoreError):
    """A server's answer that is not a success."""

    def __init__(
        self,
        detail: str,
        *,
        status: int,
        code: str = "",
        url: str = "",
        request_id: str = "",
        advice: str = "",
    ) -> None:
        found_by = _found_by(status, request_id, detail)
        source = f" ({status} from {url}{found_by})" if url else ""
        super().__init__(f"{detail}{source}{advice and f': {advice}'}")
        self.detail = detail
        self.status = status
        self.code = code
        self.url = public(url)
        self.request_id = request_id


class Refused(Answered):
    """The server understood and said no."""


class Malformed(Refused):
    """The request is not what the contract asks for."""


class Denied(Refused):
    """The server does not let this caller do it; it says which role that takes, on which tag."""


class Unauthenticated(Denied):
    """The server does not know who asks: no token was shown, or one that it does not take."""


class NotFound(Refused):
    """No such tag, type or payload."""


class Conflict(Refused):
    """What is stored does not allow it."""


class Contended(Conflict):
    """Others changed the same thing again and again; nothing was done, so it may be tried again."""

    retry_after: float | None = None


class Frozen(Conflict):
    """The tag or the buffer is frozen and takes nothing more."""


class TooLarge(Refused):
    """The body is larger than the server takes."""


class ServerFailed(Answered):
    """The server failed in a way that trying again at once will not cure."""


class NotTrusted(CondstoreError):
    """The server's certificate does not prove that it is the one that was meant."""

    @classmethod
    def at(cls, url: str, why: str) -> NotTrusted:
        """Say which URL it was and what to do about it."""
        return cls(
            f"the certificate of {url} is not to be trusted ({why}); if it is of a CA of your own, "
            "name that CA's PEM file in CONDSTORE_CA"
        )


class UnexpectedAnswer(CondstoreError):
    """Something answered that does not speak our contract (another service on that port?)."""


class DamagedPayload(CondstoreError):
    """The bytes do not hash to the digest they were asked by."""


class DamagedBundle(CondstoreError):
    """An offline bundle that is not what was written; it answers nothing."""


class DamagedBackup(CondstoreError):
    """A backup that is not what was written, or a volume's ledger that does not fit it."""


class WrongBackup(CondstoreError):
    """A backup or a restore that would mix two histories, or write over something: not begun."""


class NotWritten(CondstoreError):
    """A file of a backup, or of a volume made of it, that the disk did not take."""


class NotInBundle(CondstoreError):
    """A moment, a payload type or bytes that an offline bundle was not pulled for: no gap."""


class NotProven(CondstoreError):
    """What a server told of a frozen tag does not give the tag's fingerprint."""


class UnreadableFile(CondstoreError):
    """A file that cannot be read, or is not the strain file it was taken for."""


class Identical(CondstoreError):
    """The tag answers with that payload there already, and the producer was to refuse this."""


class TierFailed(CondstoreError):
    """A server started here could not start, or died."""


class DemoFailed(CondstoreError):
    """A step of the demo did not hold."""


_BY_STATUS: Mapping[int, type[Refused]] = {
    400: Malformed,
    401: Unauthenticated,
    403: Denied,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    413: TooLarge,
    422: Malformed,
    428: Conflict,
}


def from_answer(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    url: str,
    credential: Credential | None = None,
) -> Answered | ServerAway:
    """Return the error that an unsuccessful answer means; `credential` is what was shown.

    A frozen buffer answers 503 by contract, yet waiting will not thaw it: it is `Frozen`, not away.
    """
    said = _Said.read(body, headers)
    detail = said.detail or f"{url} answered {status} without saying why"
    code, request = said.code, said.request_id
    if code in _FROZEN_CODES or (status == 503 and detail == _FROZEN_TEXT):
        return Frozen(detail, status=status, code=code or "FROZEN", url=url, request_id=request)
    if status in _NOT_NOW:
        wait = _seconds(headers.get("Retry-After", ""), time.time())
        found = f"{url} says: {detail} ({status}{_found_by(status, request, detail)})"
        return (TooOften if status == 429 else ServerAway)(
            found, retry_after=wait, request_id=request
        )
    kind: type[Answered] = _BY_STATUS.get(status, ServerFailed if status >= 500 else Refused)
    kind = Contended if code == _CONTENDED_CODE else kind
    advice = credential.advice(detail) if credential and status == 401 else ""
    return kind(detail, status=status, code=code, url=url, request_id=request, advice=advice)


class _Said(NamedTuple):
    detail: str
    code: str
    request_id: str

    @classmethod
    def read(cls, body: bytes, headers: Mapping[str, str]) -> _Said:
        """Read an error body: ours, the twin's, or any text."""
        text = body.decode("utf-8", "replace").strip()
        known = headers.get("X-Request-Id", "")
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            return cls(text[:_LONGEST_DETAIL], "", _request_id(known))
        detail = answer.get("detail") or answer.get("body") or text
        return cls(
            str(detail)[:_LONGEST_DETAIL],
            str(answer.get("code", "")),
            _request_id(answer.get("request_id") or known),
        )


def _request_id(told: object) -> str:
    """Return the id of a request, if it is one word that a log may have."""
    return told if isinstance(told, str) and _REQUEST_ID.fullmatch(told) else ""


def _found_by(status: int, request_id: str, detail: str) -> str:
    """Say, of a server's own failure, what finds it in its log, unless its words do."""
    told = status < 500 or not request_id or request_id in detail
    return "" if told else f", request {request_id}"


def _seconds(retry_after: str, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for, written as a number or as a date.

    >>> _seconds("7", 0.0), _seconds("Thu, 01 Jan 1970 00:01:00 GMT", 50.0), _seconds("soon", 0.0)
    (7.0, 10.0, None)
    """
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - 8 ms of every `--help`

    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now)
    except (ValueError, OverflowError):
        return None
