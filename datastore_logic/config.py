"""The logic tier's settings: one frozen value, read from the environment once, at the start."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from limits import parse

from datastore_logic import environ as env
from datastore_logic.access.settings import Access
from datastore_logic.domain.tags import TagName
from datastore_logic.errors import BadConfiguration
from datastore_logic.logs import LogFormat
from datastore_logic.loopback import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datastore_logic.environ import Network


class Authentication(StrEnum):
    """Whether callers are told apart, as /readyz says it."""

    ON = "on"
    OFF = "off"
    """An operator said that everybody may do all."""
    LOOPBACK_ONLY = "loopback only"
    """Nothing is set to tell them by, so only this machine is listened to."""


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
            stat=env.url_path(environ, "ENDP_STAT", default.stat),
            dump_log=env.url_path(environ, "ENDP_DUMP", default.dump_log),
            dump_files=env.url_path(environ, "ENDP_DUMPF", default.dump_files),
            send=env.url_path(environ, "ENDP_SEND", default.send),
            description=env.url_path(environ, "ENDP_DESC", default.description),
            freeze=env.url_path(environ, "ENDP_UPD_DESC", default.freeze),
            clean=env.url_path(environ, "ENDP_CLEAN", default.clean),
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
    checkpoints: bool = True
    access: Access = field(default_factory=Access)
    buffer_ca: Path | None = None
    buffer_public_url: str = ""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: tuple[Network, ...] = ()
    max_connections: int = 4096
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    min_body_rate: int = 1024
    drain_seconds: float = 2.0
    max_iovs: int = 250_000
    rate_reads: str = "3000/second"
    rate_writes: str = "2000/second"
    rate_failures: str = "60/minute"
    log_format: LogFormat = LogFormat.TEXT
    otlp_endpoint: str = field(default="", repr=False)
    metrics_tags: int = 20

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Config:
        """Read the settings; those of `access` in access/settings.py.

        Raises:
            BadConfiguration: naming the variable.
        """
        default = cls()
        return cls(
            buffer_url=env.url(environ, "DB_BURL", f"{default.buffer_url}/"),
            view_path=Path(environ.get("VIEW_PATH") or default.view_path),
            max_size=env.integer(environ, "MAX_SIZE", default.max_size, least=0),
            max_segment_bytes=env.integer(environ, "MAX_SEGMENT_BYTES", default.max_segment_bytes),
            stream_tag=env.tag(environ, "STREAM_TAG", default.stream_tag),
            host=environ.get("HOST") or default.host,
            port=env.integer(environ, "PORT", default.port, least=0, most=65535),
            workers=env.integer(environ, "WEB_CONCURRENCY", default.workers),
            threads=env.integer(environ, "THREADS", default.threads, most=1000),
            log_level=_log_level(environ, default.log_level),
            log_format=LogFormat(env.one_of(environ, "LOG_FORMAT", default.log_format, *LogFormat)),
            otlp_endpoint=env.url(environ, "OTEL_EXPORTER_OTLP_ENDPOINT", default.otlp_endpoint),
            metrics_tags=env.integer(
                environ, "METRICS_TAGS", default.metrics_tags, least=0, most=1000
            ),
            endpoints=Endpoints.from_environ(environ),
            buffer_timeout=env.seconds(environ, "BUFFER_TIMEOUT", default.buffer_timeout),
            view_wait=env.seconds(environ, "VIEW_WAIT", default.view_wait),
            drain_seconds=env.seconds(environ, "DRAIN_SECONDS", default.drain_seconds, zero=True),
            shutdown_grace=ceil(
                env.seconds(environ, "SHUTDOWN_GRACE", default.shutdown_grace, zero=True)
            ),
            iov_mode=IovMode(env.one_of(environ, "CDB_IOV_MODE", default.iov_mode, *IovMode)),
            slices_bytes=env.integer(environ, "SLICES_BYTES", default.slices_bytes, least=0),
            checkpoints=env.one_of(environ, "CHECKPOINTS", "on", "on", "off") == "on",
            access=Access.from_environ(environ),
            buffer_ca=env.certificates(environ, "BUFFER_CA"),
            buffer_public_url=env.url(environ, "BUFFER_PUBLIC_URL", default.buffer_public_url),
            **_tls(environ),
            trusted_proxies=env.networks(environ, "TRUSTED_PROXIES"),
            max_connections=env.integer(environ, "MAX_CONNECTIONS", default.max_connections),
            header_timeout=env.seconds(environ, "HEADER_TIMEOUT", default.header_timeout),
            body_timeout=env.seconds(environ, "BODY_TIMEOUT", default.body_timeout),
            min_body_rate=env.integer(environ, "MIN_BODY_RATE", default.min_body_rate, least=0),
            max_iovs=env.integer(environ, "MAX_IOVS", default.max_iovs),
            rate_reads=_rate(environ, "RATE_READS", default.rate_reads),
            rate_writes=_rate(environ, "RATE_WRITES", default.rate_writes),
            rate_failures=_rate(environ, "RATE_FAILURES", default.rate_failures),
        )

    def __post_init__(self) -> None:
        """Refuse to be reached from elsewhere with nothing to tell callers apart by.

        Raises:
            BadConfiguration: it would be, and nobody said AUTH=off.
        """
        if self.authentication is Authentication.LOOPBACK_ONLY and not is_loopback(self.host):
            raise BadConfiguration(
                f"HOST={self.host} is reached from elsewhere, and no authentication is configured:"
                " set JWT_SECRET, JWT_JWKS or ADMIN_TOKEN, or AUTH=off to let everybody do all"
            )

    @property
    def authentication(self) -> Authentication:
        """Whether callers are told apart."""
        if self.access.configured:
            return Authentication.ON
        return Authentication.OFF if self.access.is_off else Authentication.LOOPBACK_ONLY

    @property
    def metrics_path(self) -> Path:
        """Where the workers of one pod keep the counters they add up for /metrics."""
        return self.view_path.with_name(f"{self.view_path.name}.metrics")

    @property
    def acknowledged_path(self) -> Path:
        """Where the workers of one pod share which LSNs they have told callers of."""
        return self.view_path.with_name(f"{self.view_path.name}.acknowledged")

    @property
    def rates_path(self) -> Path:
        """Where the workers of one pod count the requests of each caller."""
        return self.view_path.with_name(f"{self.view_path.name}.rates")

    @property
    def slices_path(self) -> Path:
        """The folder of what is derived from the view to answer large tags faster."""
        return self.view_path.with_name(f"{self.view_path.name}.slices")


def _log_level(environ: Mapping[str, str], default: str) -> str:
    lowered = {"LOG_LEVEL": environ.get("LOG_LEVEL", "").lower()}
    return env.one_of(lowered, "LOG_LEVEL", default, "debug", "info", "warning", "error")


def _tls(environ: Mapping[str, str]) -> dict[str, Path | None]:
    cert, key = env.readable_file(environ, "TLS_CERT"), env.readable_file(environ, "TLS_KEY")
    if (cert is None) is not (key is None):
        raise BadConfiguration("TLS_CERT and TLS_KEY belong together: one of them is not set")
    return {"tls_cert": cert, "tls_key": key}


def _rate(environ: Mapping[str, str], name: str, default: str) -> str:
    """Return a rate in the words of the limits library; "none" for no limit."""
    text = environ.get(name) or default
    if text == "none":
        return ""
    try:
        parse(text)
    except ValueError as reason:
        words = f"{name}={text!r} is neither a rate such as {default} nor none"
        raise BadConfiguration(words) from reason
    return text
