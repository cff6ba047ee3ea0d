# ruff: noqa: N999 - the name gunicorn looks for
"""How gunicorn runs the logic tier; every setting comes from the environment (envsetup.sh).

Threads, sockets and connections are made in the workers, after the fork.
"""

from __future__ import annotations

import gc
import logging
import math
import os
import resource
import shutil
import signal
import socket
import sys
from itertools import count
from typing import TYPE_CHECKING, NoReturn

from datastore_logic import logs
from datastore_logic.config import Authentication, Config
from datastore_logic.errors import BadConfiguration
from datastore_logic.loopback import is_loopback
from datastore_logic.serving.alive import TIMES_BUFFER_TIMEOUT
from datastore_logic.serving.certificates import Certificates
from datastore_logic.serving.pace import Limits
from datastore_logic.spelling import misspelt
from datastore_logic.view.follower import caught_up, expect_news

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from gunicorn.arbiter import Arbiter
    from gunicorn.config import Config as Settings

    from datastore_logic.serving.worker import Worker


def _cannot_start(reason: object) -> NoReturn:
    print(f"datastore_logic: cannot start: {reason}", file=sys.stderr)
    raise SystemExit(1)


try:
    _config = Config.from_environ(os.environ)
except BadConfiguration as problem:
    _cannot_start(problem)

_host = f"[{_config.host}]" if ":" in _config.host else _config.host
bind = f"{_host}:{_config.port}"
workers = _config.workers
worker_class = "datastore_logic.serving.worker.Worker"
threads = _config.threads
worker_connections = math.ceil(_config.max_connections / _config.workers)
backlog = 2048
keepalive = 75
# No header of a caller changes where, over what or by whom we think we are asked: proxies that are
# trusted are heard in web/address.py, and there alone.
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
proxy_protocol = "off"
http_protocols = "h1"
http_parser = "python"  # whose idea of a line serving/incoming.py shares
limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190
sendfile = False  # answers go at the caller's pace
# Where workers show that they live: in memory, for that must not wait for a disk. Where the root is
# read-only nothing else but the view's directory can be written.
_MEMORY = "/dev/shm"  # noqa: S108 - files without a name
worker_tmp_dir = _MEMORY if os.access(_MEMORY, os.W_OK) else str(_config.view_path.parent)
_scheme = "http" if _config.tls_cert is None else "https"
if _config.tls_cert is not None and _config.tls_key is not None:
    certfile, keyfile = str(_config.tls_cert), str(_config.tls_key)
    _certificates = Certificates(_config.tls_cert, _config.tls_key)
timeout = 60
# Until the arbiter kills its workers; each of them gives requests in flight SHUTDOWN_GRACE.
graceful_timeout = math.ceil(_config.drain_seconds) + _config.shutdown_grace + 2
# Its comings and goings are of use to who hunts a defect in it; ours are logged below.
loglevel = "debug" if _config.log_level == "debug" else "warning"
logconfig_dict = logs.settings(_config.log_format, _config.log_level, loglevel)
proc_name = "datastore_logic"
control_socket_disable = True
preload_app = False

CATCH_UP = 3.0  # s that the ready line waits for the view
_ready_tokens: list[int] = []
_numbers: dict[int, int] = {}


def on_starting(server: Arbiter) -> None:
    """Refuse what cannot work in one line, before any worker is forked."""
    logs.catch(_config.log_format)
    _stop_on_hang_up(server)
    _end_what_is_told_to_while_it_starts()
    _allow_many_files()
    _refuse_strangers(server)
    _refuse_useless_certificates()
    _prepare_directories()
    if "GUNICORN_PID" not in os.environ and "LISTEN_FDS" not in os.environ:
        _refuse_busy_port()
    expect_news(_config.view_path)
    log = logging.getLogger("datastore_logic")
    log.info("configuration: %s", _config)
    for line in misspelt(os.environ, "datastore_logic"):
        log.warning("%s", line)
    read, write = os.pipe()
    os.set_blocking(read, False)
    # Each worker that is up takes a token; the one that takes the last says so, once.
    os.write(write, b"." * (server.cfg.workers - 1) + b"!")
    os.close(write)
    _ready_tokens.append(read)
    _import_for_all()


def post_worker_init(worker: Worker) -> None:
    """Start to follow the ledger; the last worker to come up tells that the pod is ready."""
    from datastore_logic.app import FOLLOWER, METRICS, TIER, TRACING, WORKER  # noqa: PLC0415

    worker.limits = Limits(
        head=_config.header_timeout,
        body=_config.body_timeout,
        rate=_config.min_body_rate,
        idle=keepalive,
        drain=_config.drain_seconds,
        stuck=TIMES_BUFFER_TIMEOUT * _config.buffer_timeout,
    )
    worker.cfg.set("graceful_timeout", _config.shutdown_grace)
    worker.wsgi.extensions[WORKER].is_stopping = worker.stopping.is_set
    gc.freeze()  # what came up with the process stays; bulk bodies and answers are no cycles
    gc.set_threshold(50_000)
    worker.watch = worker.wsgi.extensions[METRICS]
    worker.wsgi.extensions[TRACING].start()
    worker.wsgi.extensions[FOLLOWER].start()
    worker.wsgi.extensions[TIER].token_use.start()
    if os.read(_ready_tokens[0], 1) == b"!":
        is_complete = caught_up(worker.wsgi.extensions[TIER].database, CATCH_UP)
        many = "1 worker" if workers == 1 else f"{workers} workers"
        host, port = worker.sockets[0].getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        away = "" if is_complete else ", still catching up with the databuffer"
        print(
            f"datastore_logic ready on {_scheme}://{shown}:{port}"
            f" ({many}, view {_config.view_path}{away})",
            flush=True,
        )


def ssl_context(_settings: Settings, _default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Return the TLS context for a new connection: of the pair of files as it is now."""
    return _certificates.context()


def worker_exit(_server: Arbiter, worker: Worker) -> None:
    """Stop following; write down when tokens were last used."""
    from datastore_logic.app import FOLLOWER, TIER, TRACING  # noqa: PLC0415

    if getattr(worker, "wsgi", None) is not None:
        worker.wsgi.extensions[FOLLOWER].stop()
        worker.wsgi.extensions[TIER].token_use.stop()
        worker.wsgi.extensions[TRACING].stop()


def pre_fork(_server: Arbiter, worker: Worker) -> None:
    """Give the worker the lowest number that no living one has: its counters are kept by it."""
    taken = set(_numbers.values())
    _numbers[worker.age] = next(number for number in count() if number not in taken)


def post_fork(_server: Arbiter, worker: Worker) -> None:
    """Count in the files of the worker's number."""
    from datastore_logic.web.metrics import share_as  # noqa: PLC0415 - see _import_for_all

    share_as(_numbers[worker.age])


def child_exit(_server: Arbiter, worker: Worker) -> None:
    """Forget the gauges of a worker that is gone; what it counted stays."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

    number = _numbers.pop(worker.age)
    mark_process_dead(number, path=str(_config.metrics_path))  # type: ignore[no-untyped-call]


def _stop_on_hang_up(server: Arbiter) -> None:
    """Stop when the terminal closes, but under nohup: gunicorn's reload would run this file anew.

    What it keeps of the workers would be lost, and there is nothing to reload.
    """
    is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    server.handle_hup = (lambda: None) if is_ignored else server.handle_term


def _end_what_is_told_to_while_it_starts() -> None:
    """Have a worker end at once that is told to stop before gunicorn has set its handlers.

    Until then it has the arbiter's, which only note a signal, and is told but once: it would serve
    on until it is killed. From before the fork until after it the signals wait.
    """
    stops = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}

    def in_worker() -> None:
        for stop in stops:
            signal.signal(stop, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, stops),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, stops),
        after_in_child=in_worker,
    )


def _refuse_strangers(server: Arbiter) -> None:
    """Refuse to be reached from elsewhere unprotected, also where gunicorn's own --bind says so."""
    if _config.authentication is Authentication.OFF:
        logging.getLogger("datastore_logic").warning(
            "AUTH=off: there is no authentication, whoever reaches this may do everything"
        )
    if _config.access.configured and _config.access.buffer_token is None:
        logging.getLogger("datastore_logic").warning(
            "BUFFER_TOKEN is not set: whoever reaches the databuffer writes the ledger, and with it"
            " makes tokens"
        )
    hosts = [bound[0] for bound in server.cfg.address if isinstance(bound, tuple)]
    is_local = _config.authentication is Authentication.LOOPBACK_ONLY
    if is_local and not all(map(is_loopback, hosts)):
        _cannot_start(f"listens on {', '.join(hosts)}, and no authentication is configured")


def _allow_many_files() -> None:
    """Take as many open files, connections among them, as may be had: often 1024 are preset."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _refuse_useless_certificates() -> None:
    if _config.tls_cert is None:
        return
    try:
        _certificates.context()
    except OSError as reason:
        _cannot_start(f"TLS_CERT={_config.tls_cert} TLS_KEY={_config.tls_key}: {reason}")


def _prepare_directories() -> None:
    try:
        _config.view_path.parent.mkdir(parents=True, exist_ok=True)
        with _config.view_path.with_name(f"{_config.view_path.name}.lock").open("a"):
            pass
        shutil.rmtree(_config.metrics_path, ignore_errors=True)
        _config.metrics_path.mkdir()
    except OSError as reason:
        _cannot_start(f"VIEW_PATH={_config.view_path}: {reason}")
    # prometheus_client reads it when it is imported: see _import_for_all.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_config.metrics_path)


def _import_for_all() -> None:
    """Import before the fork: workers share its pages, and one that is replaced is up soon.

    Nothing is made of it here: threads, files and connections are the workers' own.
    """
    import datastore_logic.app  # noqa: F401, PLC0415 - prometheus_client asks for its directory

    gc.freeze()


def _refuse_busy_port() -> None:
    family = socket.AF_INET6 if ":" in _config.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_config.host, _config.port))
        except OSError as reason:
            _cannot_start(f"HOST={_config.host} PORT={_config.port}: {reason.strerror}")
