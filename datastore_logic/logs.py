"""How the process logs: lines for people, or for machines a JSON object a line.

Every line that is written within a request carries its id; those of threads that answer nobody,
such as the one that follows the ledger, have none.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from logging.config import dictConfig
from typing import TYPE_CHECKING, Any, Final

from datastore_logic.log_lines import Lines

if TYPE_CHECKING:
    from types import TracebackType

REQUEST_ID: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)
"""The id of the request being answered, passed on so that both tiers log the same one."""

_log = logging.getLogger("datastore_logic")


class LogFormat(StrEnum):
    """What a line of the log looks like."""

    TEXT = "text"
    JSON = "json"


class Text(logging.Formatter):
    """A line for people; the request id stands at its end."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s [%(process)d] %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Add the request id."""
        line, request_id = super().formatMessage(record), REQUEST_ID.get()
        return line if request_id is None else f"{line} [{request_id}]"


class Json(logging.Formatter):
    """One object a line, whatever is in the message."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the record."""
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _sound(record.getMessage()),
            "pid": record.process,
        }
        if (request_id := REQUEST_ID.get()) is not None:
            told["request_id"] = request_id
        if record.exc_info:
            told["exception"] = _sound(self.formatException(record.exc_info))
        return json.dumps(told, ensure_ascii=False)


def settings(form: LogFormat, level: str, gunicorn: str) -> dict[str, Any]:
    """Return what `logging.config.dictConfig` takes, with a level of gunicorn's own."""
    formatter = Json if form is LogFormat.JSON else Text
    handler = {"()": Lines, "stream": "ext://sys.stderr", "formatter": "ours"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"ours": {"()": formatter}},
        "handlers": {"stderr": handler},
        "root": {"level": level.upper(), "handlers": ["stderr"]},
        "loggers": {
            "gunicorn.error": {"level": gunicorn.upper(), "handlers": ["stderr"]},
            "urllib3": {"level": "WARNING"},
        },
    }


def begin(form: LogFormat, level: str) -> None:
    """Log to stderr in a process that is not gunicorn's."""
    dictConfig(settings(form, level, level))
    catch(form)


def catch(form: LogFormat) -> None:
    """Log Python's warnings too, and as JSON what nobody catches."""
    logging.captureWarnings(capture=True)
    if form is LogFormat.JSON:
        sys.excepthook = _uncaught
        threading.excepthook = _uncaught_in_thread


def _sound(text: str) -> str:
    """Keep the name of a file that is no text from making the line none."""
    return text.encode(errors="backslashreplace").decode()


def _uncaught(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    _log.critical("nobody caught %s", kind.__name__, exc_info=(kind, error, where))


def _uncaught_in_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None:
        _uncaught(told.exc_type, told.exc_value, told.exc_traceback)
