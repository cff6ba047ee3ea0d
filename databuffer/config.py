"""What the environment decides, read once. Nothing else in this package reads `os.environ`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Self

from databuffer.access.secrets import parse_secrets
from databuffer.errors import BadConfiguration
from databuffer.logs import LogFormat
from databuffer.loopback import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEVELS = ("debug", "info", "warning", "error")
_AUTH = ("", "on", "off")
_DIGITS = 20  # that no number has: Python makes none of thousands of them


class Authentication(StrEnum):
    """Whether callers are told apart, as /readyz says it."""

    ON = "on"
    OFF = "off"
    """An operator said that everybody may do all."""
    LOOPBACK_ONLY = "loopback only"
    """There is no secret to tell them by, so only this machine is listened to."""


@dataclass(frozen=True, slots=True)
class Config:
    """Where things lie, who may ask and how much is allowed; sizes in bytes, times in seconds.

    `buffer_token` holds no, one or two secrets; `max_connections` and what follows bound callers.
    """

    host: str
    port: int
    volume_root: Path
    admroot: Path
    admfnm: str
    dsst: str
    dtvolroot: Path
    dataroot: Path
    datanm: str
    logroot: Path
    logstream: str
    blobroot: Path
    ledgerroot: Path
    stateroot: Path
    wchsz: int
    write_wait: float
    max_blob_bytes: int
    max_segment_bytes: int
    max_entry_bytes: int
    max_state_bytes: int
    body_timeout: float
    ledger_segment_bytes: int
    blob_journal_bytes: int
    volume_reserve_bytes: int
    drain_seconds: float
    shutdown_grace: float
    log_level: str
    log_format: LogFormat
    otlp_endpoint: str = field(repr=False)
    auth: str
    buffer_token: tuple[str, ...] = field(repr=False)
    buffer_token_file: Path | None
    tls_cert: Path | None
    tls_key: Path | None
    max_connections: int
    header_timeout: float
    min_body_rate: int

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read every variable, each with its default; raise `BadConfiguration` naming a bad one."""
        host, port = _address(environ.get("SERVURL") or "127.0.0.1:8080")
        volume = _path(environ, "VOLUME_ROOT", Path("var/volume"))
        dtvol = _path(environ, "DTVOLROOT", volume)
        return cls(
            host=host,
            port=port,
            volume_root=volume,
            admroot=_path(environ, "ADMROOT", volume / "adm"),
            admfnm=_file_name(environ, "ADMFNM", "StatDesc.json"),
            dsst=_file_name(environ, "DSST", "Dsstat.json"),
            dtvolroot=dtvol,
            dataroot=_path(environ, "DATAROOT", dtvol / "data"),
            datanm=_file_name(environ, "DATANM", "gwb"),
            logroot=_path(environ, "LOGROOT", volume / "log"),
            logstream=_file_name(environ, "LOGSTREAM", "LogStream.json"),
            blobroot=_path(environ, "BLOBROOT", dtvol / "blobs"),
            ledgerroot=_path(environ, "LEDGERROOT", volume / "ledger"),
            stateroot=_path(environ, "STATEROOT", volume / "state"),
            wchsz=_count(environ, "WCHSZ", 32),
            write_wait=_seconds(environ, "WRITE_WAIT", 10),
            max_blob_bytes=_count(environ, "MAX_BLOB_BYTES", 4 << 30),
            max_segment_bytes=_count(environ, "MAX_SEGMENT_BYTES", 16 << 20),
            max_entry_bytes=_count(environ, "MAX_ENTRY_BYTES", 64 << 20),
            max_state_bytes=_count(environ, "MAX_STATE_BYTES", 1 << 20),
            body_timeout=_patience(environ, "BODY_TIMEOUT", 30),
            ledger_segment_bytes=_count(environ, "LEDGER_SEGMENT_BYTES", 64 << 20),
            blob_journal_bytes=_count(environ, "BLOB_JOURNAL_BYTES", 64 << 20),
            volume_reserve_bytes=_count(environ, "VOLUME_RESERVE_BYTES", 256 << 20, least=0),
            drain_seconds=_seconds(environ, "DRAIN_SECONDS", 2),
            shutdown_grace=_seconds(environ, "SHUTDOWN_GRACE", 20),
            log_level=_level(environ),
            log_format=_log_format(environ),
            otlp_endpoint=_endpoint(environ),
            auth=_auth(environ),
            buffer_token=_secrets(environ),
            buffer_token_file=_file(environ, "BUFFER_TOKEN_FILE"),
            tls_cert=_file(environ, "TLS_CERT"),
            tls_key=_file(environ, "TLS_KEY"),
            max_connections=_count(environ, "MAX_CONNECTIONS", 4096),
            header_timeout=_patience(environ, "HEADER_TIMEOUT", 10),
            min_body_rate=_count(environ, "MIN_BODY_RATE", 1024, least=0),
        )

    def __post_init__(self) -> None:
        """Refuse what contradicts itself, and to be reached by callers whom nothing tells apart."""
        if self.buffer_token and self.buffer_token_file:
            raise BadConfiguration("BUFFER_TOKEN and BUFFER_TOKEN_FILE are both set; one is enough")
        if (self.tls_cert is None) is not (self.tls_key is None):
            raise BadConfiguration("TLS_CERT and TLS_KEY belong together: one of them is not set")
        if self.auth == "on" and not self.has_secret:
            raise BadConfiguration("AUTH=on needs a secret: set BUFFER_TOKEN or BUFFER_TOKEN_FILE")
        if self.authentication is Authentication.LOOPBACK_ONLY and not is_loopback(self.host):
            raise BadConfiguration(
                f"SERVURL={self.host}:{self.port} is reached from elsewhere, and no authentication"
                " is configured: set BUFFER_TOKEN or BUFFER_TOKEN_FILE, or AUTH=off to let"
                " everybody do all"
            )

    @property
    def has_secret(self) -> bool:
        """Whether the tiers have a secret between them."""
        return bool(self.buffer_token or self.buffer_token_file)

    @property
    def private(self) -> list[Path]:
        """The directories that are nobody else's, but for one that holds what others read."""
        read = (self.dataroot, self.dtvolroot, self.admroot, self.logroot)
        return [
            root
            for root in (self.ledgerroot, self.stateroot, self.blobroot)
            if not any(path.resolve().is_relative_to(root.resolve()) for path in read)
        ]

    @property
    def authentication(self) -> Authentication:
        """Whether callers are told apart."""
        if self.auth == "off":
            return Authentication.OFF
        return Authentication.ON if self.has_secret else Authentication.LOOPBACK_ONLY


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not _is_number(port) or int(port) > 65535:
        raise BadConfiguration(f"SERVURL is host:port or :port, not {text!r}")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - `:8080` asks for all interfaces


def _path(environ: Mapping[str, str], name: str, default: Path) -> Path:
    return Path(environ.get(name) or default)


def _file_name(environ: Mapping[str, str], name: str, default: str) -> str:
    text = environ.get(name) or default
    if "/" in text or text.startswith("."):
        raise BadConfiguration(f"{name} is a plain file name, not {text!r}")
    return text


def _file(environ: Mapping[str, str], name: str) -> Path | None:
    text = environ.get(name)
    return Path(text) if text else None


def _auth(environ: Mapping[str, str]) -> str:
    text = environ.get("AUTH") or ""
    if text not in _AUTH:
        raise BadConfiguration(f"AUTH is on, off or empty, not {text!r}")
    return text


def _secrets(environ: Mapping[str, str]) -> tuple[str, ...]:
    text = environ.get("BUFFER_TOKEN")
    return parse_secrets("BUFFER_TOKEN", text.split(",")) if text else ()


def _count(environ: Mapping[str, str], name: str, default: int, least: int = 1) -> int:
    text = environ.get(name) or str(default)
    if not _is_number(text) or int(text) < least:
        raise BadConfiguration(f"{name} is a whole number from {least} on, not {text!r}")
    return int(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < _DIGITS


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name) or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        raise BadConfiguration(f"{name} is a number of seconds, not {text!r}")
    return seconds


def _patience(environ: Mapping[str, str], name: str, default: float) -> float:
    """Take seconds to wait for a caller: with none, nobody would ever be heard."""
    seconds = _seconds(environ, name, default)
    if not seconds:
        raise BadConfiguration(f"{name} is a number of seconds above 0")
    return seconds


def _level(environ: Mapping[str, str]) -> str:
    text = (environ.get("LOG_LEVEL") or "info").lower()
    if text not in _LEVELS:
        raise BadConfiguration(f"LOG_LEVEL is one of {', '.join(_LEVELS)}, not {text!r}")
    return text


def _log_format(environ: Mapping[str, str]) -> LogFormat:
    text = environ.get("LOG_FORMAT") or LogFormat.TEXT
    if text not in set(LogFormat):
        raise BadConfiguration(f"LOG_FORMAT is one of {', '.join(LogFormat)}, not {text!r}")
    return LogFormat(text)


def _endpoint(environ: Mapping[str, str]) -> str:
    """Read where traces go. The variable is OpenTelemetry's, as are those that its SDK reads."""
    text = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or ""
    if text and not text.startswith(("http://", "https://")):
        raise BadConfiguration("OTEL_EXPORTER_OTLP_ENDPOINT is an http:// or https:// URL")
    return text.rstrip("/")
