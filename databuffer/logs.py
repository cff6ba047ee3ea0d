"""How the process logs: lines for people, or for machines a JSON object a line.

Every line that is written within a request carries its id; those of threads that answer nobody, or
many at once, have none.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from databuffer.log_lines import Lines

if TYPE_CHECKING:
    from types import TracebackType

REQUEST_ID: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)
"""The id of the request that is being answered."""

_log = logging.getLogger("databuffer")


class LogFormat(StrEnum):
    """What a line of the log looks like."""

    TEXT = "text"
    JSON = "json"


class Text(logging.Formatter):
    """A line for people; the request id stands at its end."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

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


def begin(form: LogFormat, level: str) -> None:
    """Log to stderr from here on, Python's warnings and what nobody catches among it."""
    handler = Lines(sys.stderr)
    handler.setFormatter(Json() if form is LogFormat.JSON else Text())
    logging.basicConfig(level=level.upper(), handlers=[handler])
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
