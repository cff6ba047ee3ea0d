"""Forms that only the browser can send that was given them, from a page of this site.

They carry a secret of this browser twice, in a cookie and in a field: what another site sends has
not both.
"""

from __future__ import annotations

import hmac
import re
import secrets
from typing import Final
from urllib.parse import parse_qs

from flask import request

from datastore_logic.errors import BadRequest
from datastore_logic.web import bodies
from datastore_logic.web.other_sites import is_elsewhere

FIELD: Final = "condstore_form"
"""The field, and the cookie, which must be the same."""

MAX_FORM: Final = 1 << 16
MAX_FIELDS: Final = 8
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_OURS: Final = frozenset({"same-origin", "none"})


def secret() -> str:
    """Return the secret of this browser, a new one if it has none."""
    mine = _kept()
    return mine if _SECRET.fullmatch(mine) else secrets.token_urlsafe(32)


def filled_in() -> dict[str, str]:
    """Return the fields of a form that this site gave this browser.

    Raises:
        BadRequest: another site sent it, or it is of another browser.
    """
    _refuse_other_sites()
    sent = bodies.whole(MAX_FORM)
    try:
        many = parse_qs(sent.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as reason:
        raise BadRequest("The form cannot be read.") from reason
    fields = {name: values[0] for name, values in many.items() if len(values) == 1}
    mine, told = _kept(), fields.get(FIELD, "")
    if not (_SECRET.fullmatch(mine) and hmac.compare_digest(mine.encode(), told.encode())):
        raise BadRequest("The form was not of this browser, or had lain too long. Try again.")
    return fields


def _refuse_other_sites() -> None:
    """Refuse a form that another site sent, as far as the browser tells.

    Raises:
        BadRequest: one did.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if is_elsewhere(request) if site is None else site not in _OURS:
        raise BadRequest("Another site sent this form.")


def _kept() -> str:
    return request.cookies.get(FIELD, "")
