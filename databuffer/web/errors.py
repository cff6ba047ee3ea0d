"""How a refusal is answered: ONE table from exception class to status and code, one body.

`{"detail", "code", "field"?, "request_id"}`; on the routes of the digital twin's contract a failure
also carries `body`, the text its clients print, and the contract's own codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from databuffer import errors
from databuffer.web.keys import REQUEST_ID

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest

RETRY_AFTER = "1"

TABLE: dict[type[errors.DatabufferError], tuple[int, str]] = {
    errors.Malformed: (400, "malformed"),
    errors.Unauthenticated: (401, "unauthenticated"),
    errors.CrossSite: (403, "cross_site"),
    errors.LinkExpired: (403, "link_expired"),
    errors.LinkInvalid: (403, "link_invalid"),
    errors.Unknown: (404, "not_found"),
    errors.TooSlow: (408, "too_slow"),
    errors.BeyondHead: (409, "lsn_beyond_head"),
    errors.KeyReused: (409, "idempotency_key_reused"),
    errors.InProgress: (409, "busy"),
    errors.KeysMoved: (412, "precondition_failed"),
    errors.PreconditionFailed: (412, "precondition_failed"),
    errors.TooLarge: (413, "too_large"),
    errors.UnsupportedEncoding: (415, "unsupported_encoding"),
    errors.DigestMismatch: (422, "digest_mismatch"),
    errors.PreconditionMissing: (428, "precondition_required"),
    errors.StorageFailed: (500, "storage_failed"),
    errors.BadLine: (500, "storage_failed"),
    errors.BadFrame: (500, "storage_failed"),
    errors.Busy: (503, "busy"),
    errors.Stopping: (503, "stopping"),
    errors.Frozen: (503, "frozen"),
    errors.LedgerFailed: (503, "ledger_failed"),
    errors.VolumeFull: (507, "volume_full"),
}

# The codes and texts that the digital twin's clients know.
TWIN_ROUTES = frozenset(
    {"/stat", "/dstat", "/dumpLogF", "/dumpF", "/sendF", "/upddsc", "/cleanall"}
)
TWIN_CODES = {
    "malformed": "MALFORMED",
    "frozen": "FROZEN",
    "storage_failed": "ERRIO",
    "volume_full": "ERRIO",
    "ledger_failed": "ERRIO",
}
TWIN_TEXTS = {"ERRIO": "Fs error detected"}


# What a client must be told beside the body.
HEADERS: dict[int, dict[str, str]] = {
    401: {"WWW-Authenticate": "Bearer"},
    415: {"Accept-Encoding": "identity"},
    503: {"Retry-After": RETRY_AFTER},
}


def answer(error: errors.DatabufferError, request: BaseRequest) -> web.Response:
    """Encode a refusal for the route it happened on."""
    status, code = TABLE[type(error)]
    body: dict[str, Any] = {"detail": str(error), "code": code}
    if isinstance(error, errors.Malformed) and error.field is not None:
        body["field"] = error.field
    if isinstance(error, errors.KeysMoved):
        body |= {"moved": error.moved, "lsn": error.lsn}
    return encode(status, body, request)


def answer_framework(error: web.HTTPException, request: BaseRequest) -> web.Response:
    """Encode what the framework refused (no such route, no such method) the same way."""
    code = error.reason.lower().replace(" ", "_")
    response = encode(error.status, {"detail": error.reason, "code": code}, request)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def answer_bug(request: BaseRequest) -> web.Response:
    """Encode that we failed."""
    return encode(500, {"detail": "internal error", "code": "internal_error"}, request)


def encode(status: int, body: dict[str, Any], request: BaseRequest) -> web.Response:
    """Put the body on the wire, in the contract's form where the contract rules; not to be kept."""
    if request.path in TWIN_ROUTES:
        code = TWIN_CODES.get(body["code"], body["code"].upper())
        body |= {"code": code, "body": TWIN_TEXTS.get(code, body["detail"])}
    body["request_id"] = request[REQUEST_ID]
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **HEADERS.get(status, {})},
    )
