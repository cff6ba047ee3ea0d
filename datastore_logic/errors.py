"""What the logic tier raises, and the one table from exception class to HTTP status.

    LogicError
    ├── BadConfiguration    a variable that makes no sense: it does not start
    ├── BadRequest          the request is malformed; names the field
    │   ├── TooLarge
    │   ├── TooSlow         its body did not come, or not fast enough
    │   └── Encoded         its body is compressed, and is not unpacked here
    ├── Unauthenticated     nobody has proven who asks
    ├── KeysAway            the keys that would prove it cannot be had now
    ├── Forbidden           whoever asks may not
    │   ├── NotEverywhere   or not on every tag
    │   └── CannotGive      nor give a token what they have not themselves
    ├── CrossSite           a web page of another site asks, where nobody is verified
    ├── TooManyRequests     of one caller in too short a time
    ├── NotFound            no such thing, or none that the caller may see
    ├── LinksNotOffered     there are no links to payloads here
    ├── PayloadsMissing     payloads named by digest are not in the store
    ├── PreflightFailed     a strict freeze found gaps or missing payloads
    ├── Conflict            others kept changing what this was decided about
    │   ├── KeyReused       an Idempotency-Key that named another request
    │   ├── TokenAlreadyMade  by the request that this repeats; its secret was told then
    │   ├── AuthenticationOff  nobody is told apart, so nobody gives tokens
    │   └── CopyUnderWay    this replica copies its view already
    ├── BufferIsFrozen      the streaming buffer takes nothing until it is cleaned
    ├── ScratchFull         the disk of the view has no room for a copy
    ├── ViewError           this replica's view cannot answer
    │   ├── ViewBuilding    it is being built; it would answer too little
    │   ├── ViewBehind      it has not reached the LSN asked for
    │   ├── CopyFailed      it cannot be copied
    │   └── LedgerTooNew    an entry in the ledger needs a newer version; reads go on
    └── DatabufferError     the databuffer did not do it
        ├── BufferAway      it cannot be reached, or failed; nothing was done
        │   └── BufferStandsStill  enough wait for it already
        ├── OutcomeUnknown  it may have done it: ask again with the same Idempotency-Key
        ├── BufferRefused   it answered no, and said why
        ├── PreconditionFailed  something that was decided about has moved
        ├── LsnBeyondHead   its ledger ends before what the view has applied
        └── BrokenChain     what follows is not of the ledger that was applied

The domain's own tree is in domain/errors.py. Whatever is in neither is a defect: 500.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from datastore_logic.domain import errors as domain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class LogicError(Exception):
    """Root of what this tier raises; `str()` is fit to show to a user."""

    code: str = "error"
    field: str | None = None
    told: Mapping[str, object] | None = None
    """What the error body says beside `detail` and `code`."""

    retry_after: int | None = None


class BadConfiguration(LogicError):
    """An environment variable holds what cannot be; the message names it."""


class BadRequest(LogicError):
    """The request is malformed."""

    code = "bad_request"

    def __init__(self, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.field = field


class TooLarge(BadRequest):
    """The body is larger than allowed."""

    code = "too_large"


class TooSlow(BadRequest):
    """The body did not come, or not fast enough."""

    code = "too_slow"


class Encoded(BadRequest):
    """The body is not what its bytes are: nothing is ever unpacked, so nothing can burst."""

    code = "unsupported_encoding"


class Unauthenticated(LogicError):
    """No credential was sent, or one that proves nothing; the words never show it."""

    code = "unauthenticated"

    def __init__(self, detail: str = "A credential is needed: Authorization: Bearer …") -> None:
        super().__init__(detail)


class KeysAway(LogicError):
    """The issuer of tokens cannot be reached, so nobody knows whether this one is good."""

    code = "issuer_away"
    retry_after = 10

    def __init__(self) -> None:
        super().__init__("The keys of the tokens' issuer cannot be had now; come again.")


class Forbidden(LogicError):
    """Whoever asks has not the role that this needs, on this tag (None: on any)."""

    code = "permission_denied"

    def __init__(self, role: str, tag: str | None = None) -> None:
        where = f"the role {role} on tag {tag}" if tag else f"the role {role}, given you on no tag"
        super().__init__(f"Permission denied: this needs {where}.")
        self.told = {"role": str(role)} | ({} if tag is None else {"tag": tag})


class NotEverywhere(Forbidden):
    """Whoever asks has not the role on every tag, which this is about."""

    def __init__(self, role: str) -> None:
        super(Forbidden, self).__init__(
            f"Permission denied: this needs the role {role} on all tags, by the pattern '.*'."
        )
        self.told = {"role": str(role), "tags": ".*"}


class CannotGive(Forbidden):
    """Whoever asks would give a token a role that they do not have on these tags."""

    def __init__(self, role: str, tags: str) -> None:
        super(Forbidden, self).__init__(
            f"Permission denied: you cannot give the role {role} on {tags}: you do not have it."
        )
        self.told = {"role": str(role), "tags": tags}


class CrossSite(LogicError):
    """A web page of another site asks, where nobody is asked who they are."""

    code = "cross_site"

    def __init__(self) -> None:
        super().__init__("A page of another site may change nothing here.")


class TooManyRequests(LogicError):
    """More requests than one caller may send; `retry_after` seconds from now there is room."""

    code = "too_many_requests"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many requests; come again in {retry_after} s.")
        self.retry_after = retry_after


class NotFound(LogicError):
    """There is no such thing; `what` is tag, payload_type, …."""

    def __init__(self, what: str, name: str) -> None:
        super().__init__(f"No {what.replace('_', ' ')} {name}.")
        self.code = f"{what}_not_found"


class LinksNotOffered(LogicError):
    """Links to payloads are not given out: BUFFER_PUBLIC_URL or BUFFER_TOKEN is not set."""

    code = "links_not_offered"

    def __init__(self) -> None:
        super().__init__("There are no links to payloads here; get the payload itself.")


class PayloadsMissing(LogicError):
    """Payloads that IOVs name by digest are not in the store: upload them, then ask again."""

    code = "payloads_missing"
    _SHOWN: ClassVar[int] = 1000

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(f"{len(missing)} payloads are not in the store; upload them first.")
        self.told = {"missing": list(missing[: self._SHOWN])}


class PreflightFailed(LogicError):
    """A strict freeze is refused for what the pre-flight report says."""

    code = "preflight_failed"

    def __init__(self, report: Mapping[str, object]) -> None:
        super().__init__("The pre-flight report speaks against freezing; nothing was changed.")
        self.told = {"report": report}


class Conflict(LogicError):
    """What this was decided about kept moving."""

    code = "conflict"


class KeyReused(Conflict):
    """An Idempotency-Key came back with another request than it first named."""

    code = "idempotency_key_reused"


class TokenAlreadyMade(Conflict):
    """The request that this one repeats made the token; its secret was in that answer alone."""

    code = "token_already_made"

    def __init__(self, token: str) -> None:
        super().__init__(
            f"This Idempotency-Key made token {token} already, whose secret is not known any more:"
            " if that answer did not arrive, revoke it and make another, under another key."
        )
        self.told = {"id": token}


class AuthenticationOff(Conflict):
    """Nobody is told apart here, so nobody can give away what only they may do."""

    code = "authentication_off"

    def __init__(self) -> None:
        super().__init__(
            "No authentication is configured here: everybody may do all, and no token is given."
        )


class CopyUnderWay(Conflict):
    """A checkpoint is being made here: a second copy would only take the first one's disk."""

    code = "busy"
    retry_after = 10

    def __init__(self) -> None:
        super().__init__("This replica is making a checkpoint already; come again.")


class BufferIsFrozen(LogicError):
    """The streaming buffer takes nothing until it is cleaned."""

    code = "FROZEN"
    retry_after = 10

    def __init__(self) -> None:
        super().__init__("Datastore frozen.")  # the words that the digital twin's clients know


class Busy(LogicError):
    """Enough others have this done just now, each in a thread of this replica."""

    code = "busy"
    retry_after = 5


class ScratchFull(LogicError):
    """The disk that the view lies on has no room for a copy of it."""

    code = "scratch_full"

    def __init__(
        self, detail: str = "The disk of this replica's view has no room for a copy of it."
    ) -> None:
        super().__init__(detail)


class ViewError(LogicError):
    """This replica's view cannot answer."""

    retry_after = 1


class ViewBuilding(ViewError):
    """The view is being built from the ledger."""

    code = "view_building"


class ViewBehind(ViewError):
    """The view did not reach the LSN asked for in time."""

    code = "view_behind"


class CopyFailed(ViewError):
    """The view cannot be copied."""

    code = "copy_failed"


class LedgerTooNew(ViewError):
    """The ledger holds an entry this version cannot take in; so nothing may be decided."""

    code = "ledger_too_new"
    retry_after = 60


class DatabufferError(LogicError):
    """The databuffer did not do what was asked."""


class BufferAway(DatabufferError):
    """The databuffer cannot be reached, or failed before doing anything."""

    code = "databuffer_away"
    retry_after = 2


class BufferStandsStill(BufferAway):
    """Others wait for it already, and it answers none of them."""


class OutcomeUnknown(DatabufferError):
    """The databuffer may or may not have done it."""

    code = "outcome_unknown"
    retry_after = 2


class BufferRefused(DatabufferError):
    """The databuffer answered no; its status and words are passed on."""

    def __init__(self, status: int, detail: str, code: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.field = field


class PreconditionFailed(DatabufferError):
    """A key that was decided about has moved; `lsn` is the ledger's head."""

    code = "precondition_failed"

    def __init__(self, lsn: int) -> None:
        super().__init__(f"What this was decided about has changed; the ledger is at LSN {lsn}.")
        self.lsn = lsn


class LsnBeyondHead(DatabufferError):
    """The ledger ends before the LSN asked for: it is not the one we knew."""

    code = "lsn_beyond_head"


class BrokenChain(DatabufferError):
    """An entry does not follow the one applied before it: this is another ledger."""

    code = "broken_chain"


STATUS: Final[Mapping[type[Exception], int]] = MappingProxyType(
    {
        domain.BadValue: 400,
        domain.StateForbids: 409,
        domain.UnfreezeNeedsReason: 400,
        domain.AlreadyExists: 409,
        domain.InUse: 409,
        BadRequest: 400,
        TooLarge: 413,
        TooSlow: 408,
        Encoded: 415,
        Unauthenticated: 401,
        KeysAway: 503,
        Forbidden: 403,
        CrossSite: 403,
        TooManyRequests: 429,
        NotFound: 404,
        LinksNotOffered: 404,
        PayloadsMissing: 409,
        PreflightFailed: 409,
        Conflict: 409,
        PreconditionFailed: 409,
        BufferIsFrozen: 503,
        Busy: 503,
        ScratchFull: 507,
        ViewError: 503,
        DatabufferError: 503,
    }
)
"""The nearest ancestor's status counts."""


def status_of(error: Exception) -> int:
    """Return the HTTP status of an error: 500 if the table knows none of its ancestors."""
    if isinstance(error, BufferRefused):
        return error.status
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
