"""What all pages have in common: they run nothing, no other site frames them, text stays text.

Jinja escapes what it prints. What it prints is shown as well: a character that has no shape of its
own, such as one that turns the direction of reading, appears as its number, so that no name looks
like another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from unicodedata import category

from flask import Response
from markupsafe import Markup

if TYPE_CHECKING:
    from flask import Flask

HTML: Final = "text/html; charset=utf-8"
NOTHING: Final = "default-src 'none'; frame-ancestors 'none'"
"""The policy of answers that are no pages, should a browser take one for a page."""

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action {forms};"
    " frame-ancestors 'none'"
)
_GUARDS: Final = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
}
_SHAPELESS: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def install(app: Flask) -> None:
    """Have the application's templates show all they print, and guard what else it sends."""
    app.jinja_env.finalize = visible

    @app.after_request
    def _guard(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", NOTHING)
        return response


def page(html: str, status: int = 200, *, forms: bool = False) -> Response:
    """Return a page that nobody may keep; `forms`: what is filled in on it goes to this site."""
    response = Response(html, status, content_type=HTML)
    response.headers["Cache-Control"] = "no-store"
    return guarded(response, forms=forms)


def guarded(response: Response, *, forms: bool = False) -> Response:
    """Add what keeps a page from being used against who looks at it.

    A form's page tells its own site where it comes from (Origin), which `no-referrer` would hide.
    """
    where = "'self'" if forms else "'none'"
    response.headers["Content-Security-Policy"] = _POLICY.format(forms=where)
    response.headers["Referrer-Policy"] = "same-origin" if forms else "no-referrer"
    for name, value in _GUARDS.items():
        response.headers[name] = value
    return response


def visible(value: object) -> object:
    r"""Return what a template prints, text with its shapeless characters as numbers.

    >>> visible("a\u202eb"), visible(7)
    ('a\\u202eb', 7)
    """
    if not isinstance(value, str) or value.isprintable() or isinstance(value, Markup):
        return value
    return "".join(map(_shown, value))


def _shown(character: str) -> str:
    if category(character) in _SHAPELESS and character not in "\n\t":
        return f"\\u{ord(character):04x}"
    return character
