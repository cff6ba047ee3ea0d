"""What the environment decides, read once. Nothing else in this package reads `os.environ`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from databuffer.errors import BadConfiguration

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Config:
    """Where things lie and how much is allowed; sizes in bytes, times in seconds."""

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
    shutdown_grace: float
    log_level: str

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
            body_timeout=_seconds(environ, "BODY_TIMEOUT", 30),
            ledger_segment_bytes=_count(environ, "LEDGER_SEGMENT_BYTES", 64 << 20),
            blob_journal_bytes=_count(environ, "BLOB_JOURNAL_BYTES", 64 << 20),
            shutdown_grace=_seconds(environ, "SHUTDOWN_GRACE", 20),
            log_level=_level(environ),
        )


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise BadConfiguration(f"SERVURL is host:port or :port, not {text!r}")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - `:8080` asks for all interfaces


def _path(environ: Mapping[str, str], name: str, default: Path) -> Path:
    return Path(environ.get(name) or default)


def _file_name(environ: Mapping[str, str], name: str, default: str) -> str:
    text = environ.get(name) or default
    if "/" in text or text.startswith("."):
        raise BadConfiguration(f"{name} is a plain file name, not {text!r}")
    return text


def _count(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise BadConfiguration(f"{name} is a whole number above 0, not {text!r}")
    return int(text)


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name) or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        raise BadConfiguration(f"{name} is a number of seconds, not {text!r}")
    return seconds


def _level(environ: Mapping[str, str]) -> str:
    text = (environ.get("LOG_LEVEL") or "info").lower()
    if text not in _LEVELS:
        raise BadConfiguration(f"LOG_LEVEL is one of {', '.join(_LEVELS)}, not {text!r}")
    return text
