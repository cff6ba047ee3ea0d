"""The logic tier with one route more, that never answers: `/hang`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from datastore_logic import app as ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flask import Flask


def create_app() -> Flask:
    """Return the application."""
    app = ours.create_app()
    inner = app.wsgi_app

    def hanging(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/hang":
            threading.Event().wait()
        return inner(environ, start)

    app.wsgi_app = hanging  # type: ignore[method-assign]  # as Flask's documentation wraps it
    return app
