"""Of which ledger the LSN is that an answer carries: `X-Ledger-Id` beside `X-Ledger-LSN`.

After a restore other entries stand under the LSNs that callers remember; by the id they see it.
Answers that are read from a snapshot know it; for the others, writes above all, it is looked up.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from datastore_logic.errors import LogicError

if TYPE_CHECKING:
    from flask import Flask, Response

    from datastore_logic.view.database import Database


def install(app: Flask, database: Database) -> None:
    """Say it in every answer that has an LSN."""

    @app.after_request
    def _say(response: Response) -> Response:
        headers = response.headers
        if "X-Ledger-LSN" in headers and "X-Ledger-Id" not in headers:
            with contextlib.suppress(LogicError, sqlite3.Error):  # the view goes just now
                headers["X-Ledger-Id"] = database.position().ledger
        return response
