"""The logic tier's settings: one frozen value, read from the environment once, at the start."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from datastore_logic.domain.errors import BadName
from datastore_logic.domain.tags import TagName
from datastore_logic.errors import BadConfiguration

if TYPE_CHECKING:
    from collections.abc import Mapping


class IovMode(StrEnum):
    """How nopayloaddb's clients mean the end of an IOV (contracts/cdb-rest.md)."""

    CONTINUOUS = "continuous"
    """It holds up to its end, where the next one may begin."""
    DISCRETE = "discrete"
    """Its end is the last moment at which it holds."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The databuffer's paths for the streaming buffer (contracts/dt-datastore.md B)."""

    stat: str = "/stat"
    dump_log: str = "/dumpLogF"
    dump_files: str = "/dumpF"
    send: str = "/sendF"
    description: str = "/dstat"
    freeze: str = "/upddsc"
    clean: str = "/cleanall"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Endpoints:
        """Read the ENDP_* variables."""
        default = cls()
        return cls(
            stat=_path(environ, "ENDP_STAT", default.stat),
            dump_log=_path(environ, "ENDP_DUMP", default.dump_log),
            dump_files=_path(environ, "ENDP_DUMPF", default.dump_files),
            send=_path(environ, "ENDP_SEND", default.send),
            description=_path(environ, "ENDP_DESC", default.description),
            freeze=_path(environ, "ENDP_UPD_DESC", default.freeze),
            clean=_path(environ, "ENDP_CLEAN", default.clean),
        )


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting with its default; times in seconds, sizes in bytes."""

    buffer_url: str = "http://localhost:8080"
    view_path: Path = Path("var/view.sqlite")
    max_size: int = 1_000_000
    max_segment_bytes: int = 16_777_216
    stream_tag: TagName = field(default=TagName("stream"))
    host: str = "127.0.0.1"
    port: int = 5000
    workers: int = 2
    threads: int = 16
    log_level: str = "info"
    endpoints: Endpoints = field(default_factory=Endpoints)
    buffer_timeout: float = 30.0
    view_wait: float = 5.0
    shutdown_grace: int = 20
    iov_mode: IovMode = IovMode.CONTINUOUS
    slices_bytes: int = 4_294_967_296

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Config:
        """Read the settings.

        Raises:
            BadConfiguration: naming the variable.
        """
        default = cls()
        return cls(
            buffer_url=_url(environ, "DB_BURL", f"{default.buffer_url}/"),
            view_path=Path(environ.get("VIEW_PATH") or default.view_path),
            max_size=_integer(environ, "MAX_SIZE", default.max_size, least=0),
            max_segment_bytes=_integer(environ, "MAX_SEGMENT_BYTES", default.max_segment_bytes),
            stream_tag=_tag(environ, "STREAM_TAG", default.stream_tag),
            host=environ.get("HOST") or default.host,
            port=_integer(environ, "PORT", default.port, least=0, most=65535),
            workers=_integer(environ, "WEB_CONCURRENCY", default.workers),
            threads=_integer(environ, "THREADS", default.threads, most=1000),
            log_level=_log_level(environ, "LOG_LEVEL", default.log_level),
            endpoints=Endpoints.from_environ(environ),
            buffer_timeout=_seconds(environ, "BUFFER_TIMEOUT", default.buffer_timeout),
            view_wait=_seconds(environ, "VIEW_WAIT", default.view_wait),
            shutdown_grace=_integer(environ, "SHUTDOWN_GRACE", default.shutdown_grace),
            iov_mode=_iov_mode(environ, "CDB_IOV_MODE", default.iov_mode),
            slices_bytes=_integer(environ, "SLICES_BYTES", default.slices_bytes, least=0),
        )

    @property
    def metrics_path(self) -> Path:
        """Where the workers of one pod keep the counters they add up for /metrics."""
        return self.view_path.with_name(f"{self.view_path.name}.metrics")

    @property
    def acknowledged_path(self) -> Path:
        """Where the workers of one pod share which LSNs they have told callers of."""
        return self.view_path.with_name(f"{self.view_path.name}.acknowledged")

    @property
    def slices_path(self) -> Path:
        """The folder of what is derived from the view to answer large tags faster."""
        return self.view_path.with_name(f"{self.view_path.name}.slices")


def _integer(
    environ: Mapping[str, str], name: str, default: int, *, least: int = 1, most: int = 2**63 - 1
) -> int:
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise BadConfiguration(f"{name}={text!r} is not an integer from {least} to {most}")
    return int(text)


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name) or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e6:
        raise BadConfiguration(f"{name}={text!r} is not a positive number of seconds")
    return seconds


def _url(environ: Mapping[str, str], name: str, default: str) -> str:
    text = environ.get(name) or default
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
        raise BadConfiguration(f"{name}={text!r} is not an http:// or https:// URL")
    return text.rstrip("/")


def _path(environ: Mapping[str, str], name: str, default: str) -> str:
    text = environ.get(name) or default
    if any(letter.isspace() or letter in "?#" for letter in text):
        raise BadConfiguration(f"{name}={text!r} is not a path")
    return "/" + text.lstrip("/")


def _tag(environ: Mapping[str, str], name: str, default: str) -> TagName:
    try:
        return TagName.parse(environ.get(name) or default)
    except BadName as reason:
        raise BadConfiguration(f"{name} is not the name of a global tag: {reason}") from reason


def _log_level(environ: Mapping[str, str], name: str, default: str) -> str:
    text = (environ.get(name) or default).lower()
    if text not in {"debug", "info", "warning", "error"}:
        raise BadConfiguration(f"{name}={text!r} is not debug, info, warning or error")
    return text


def _iov_mode(environ: Mapping[str, str], name: str, default: IovMode) -> IovMode:
    text = environ.get(name) or default
    if text not in set(IovMode):
        raise BadConfiguration(f"{name}={text!r} is not continuous or discrete")
    return IovMode(text)
