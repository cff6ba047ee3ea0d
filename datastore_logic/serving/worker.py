"""The gunicorn worker of this tier: threads for requests that have come, none for who dawdles.

gunicorn's own gives a thread to each connection that says a first byte, and lets it wait: 32
clients that send a byte a second hold every thread there is. Here:

- **The main thread gathers.** It takes what has come of a request, TLS handshake included, without
  ever waiting, and hands it to a thread when it is whole, or when 64 KiB of it are there. So who
  drips a head or an ordinary body costs a descriptor and some memory, and is answered 408 when that
  takes too long: HEADER_TIMEOUT for the head, the pace (serving/pace.py) for the body.
- **Uploads have half of the threads.** A longer body is read by a thread, at the same pace, and
  takes one of those places until it has come. So threads for all other requests are always left.
- **Under pressure the slowest ends first.** If uploads wait for a place, or requests for a thread,
  because peers are waited for, then the slowest of these end, unless they send (or take their
  answers) at sixteen times MIN_BODY_RATE.
- **Stopping is said.** From SIGTERM on each answer says `Connection: close`. For DRAIN_SECONDS new
  connections are still taken: whoever routes them here hears of our end a little later. Then the
  port closes, idle connections a moment later, and requests in flight have SHUTDOWN_GRACE.
- **Alive is answered by who is free.** When all threads are taken the main thread answers /livez:
  503 only if none of them gets anywhere, however busy they are (serving/alive.py).
- **Full is said.** Above its share of MAX_CONNECTIONS a worker first closes idle connections; then
  new ones are guests, for a second and the newest of them: they are answered 503, but for probes
  and scrapes. Otherwise whoever opens enough connections would have every replica killed. Where
  the system has no descriptor left it pauses for a second rather than spin.

Closing is done here too, without waiting: gunicorn's waits up to two seconds for each client that
does not close its end, in the thread that everybody else depends on.
"""

from __future__ import annotations

import errno
import logging
import resource
import signal
import sys
from collections import deque
from dataclasses import replace
from functools import partial
from heapq import nsmallest
from http import HTTPStatus
from math import inf
from selectors import EVENT_READ
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Final

from gunicorn import sock as gunicorn_sock
from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.workers.gthread import ThreadWorker

from datastore_logic.serving import alive
from datastore_logic.serving.connection import Connection, Stage
from datastore_logic.serving.incoming import MOST_HEAD, Outlook
from datastore_logic.serving.pace import Limits
from datastore_logic.serving.refusal import refusal
from datastore_logic.serving.watch import Unwatched

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable
    from concurrent.futures import Future

    from gunicorn.http.message import Request

    from datastore_logic.serving.line import Line
    from datastore_logic.serving.watch import Watch

STATUS: Final[dict[type[Exception], HTTPStatus]] = {
    ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
}
"""What the parser refuses is the caller's mistake: 400, unless HTTP has a word for it."""

TICK: Final = 0.25
"""Seconds between two looks at whose time is over."""

SOON: Final = 1.0
"""Seconds that a request may wait for a thread before others are ended for it."""

CROWDED: Final = 16
"""By so much the least rate rises for whom a thread waits while others wait for a thread."""

TOGETHER: Final = 256
"""How many idle connections are closed at once when all places are taken."""

GUESTS: Final = 128
"""How many there may be at once for whom there is no place, and how many come in a `TICK`."""

GUEST_SPEAKS: Final = 1.0
"""Seconds within which a guest must have said what it wants."""

SPARE_FILES: Final = 300
"""Descriptors of a worker that are no connections of callers: the view, the databuffer, …."""

NO_DESCRIPTOR: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

FULL: Final = "All connections of this replica are taken; come again."
NO_PLACE: Final = "Too many large bodies are on their way; come again."
LATE: Final = "The request did not come to its end in time."

log = logging.getLogger(__name__)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn is not typed
    """Threads serve requests; the main thread gathers them, and parts with who is too slow."""

    limits = Limits()
    """Set by gunicorn.conf.py before the first connection, as is:"""
    watch: Watch = Unwatched()

    sockets: list[socket.socket]

    @classmethod
    def check_config(cls, cfg: object, log: object) -> None:
        """Find nothing wrong: idle connections give way where there are few places."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.max_keepalived = sys.maxsize  # idle ones are closed when there is need, not before
        self._watched: dict[Connection, None] = {}
        self._served: set[Connection] = set()
        self._uploads: set[Connection] = set()
        self._queue: deque[Connection] = deque()
        self._guests: dict[Connection, None] = {}
        self.stopping = Event()
        """Set at SIGTERM; /readyz looks at it too."""
        self._look_at = self._accept_from = 0.0
        self._accept_until = inf
        self._last_free = monotonic()
        self._crowded_since: float | None = None
        self._told_of = -1  # connections that `watch` was told of last: at first it knows of none

    def init_signals(self) -> None:
        """Leave SIGHUP to the arbiter: when a terminal closes all of its processes get it."""
        super().init_signals()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def run(self) -> None:
        """Serve until told to stop."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.worker_connections = min(self.cfg.worker_connections, max(1, files - SPARE_FILES))
        if self.worker_connections < self.cfg.worker_connections:
            log.warning("%d open files are for %d connections", files, self.worker_connections)
        super().run()

    def handle_exit(self, _sig: int, _frame: object) -> None:
        """Begin to stop, at SIGTERM."""
        if not self.stopping.is_set():
            self.stopping.set()
            self._accept_until = monotonic() + self.limits.drain
            self.method_queue.defer(self._begin_to_stop)

    def _begin_to_stop(self) -> None:
        """Let who waits now wait a moment more: a request may be on its way."""
        for conn in self._watched:
            if conn.stage in {Stage.IDLE, Stage.HEAD}:
                conn.enter(conn.stage)

    def _stop_accepting(self) -> None:
        """Close the port, after the last of the connections that are waiting: it resets them."""
        for listener in self.sockets if self._accepting else ():
            while self._accept(listener):
                pass
        self.set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()
        self.sockets = []
        self.alive = False

    # a connection comes -------------------------------------------------------------------------

    def accept(self, listener: socket.socket) -> None:
        """Take a new connection, and what has come on it."""
        self._accept(listener)

    def _accept(self, listener: socket.socket) -> bool:
        """Take one; return whether there was one."""
        try:
            client, address = listener.accept()
        except OSError as reason:
            self._not_accepted(reason)
            return False
        conn = self._begin(listener, client, address)
        if conn is not None:
            self.nr_conns += 1
            self._go_on(conn)
        return True

    def _begin(
        self, listener: socket.socket, client: socket.socket, address: object
    ) -> Connection | None:
        try:
            if self.cfg.is_ssl:
                client = gunicorn_sock.ssl_context(self.cfg).wrap_socket(
                    client, server_side=True, do_handshake_on_connect=False
                )
            server = listener.getsockname()
            return Connection(self.cfg, client, address, server, self.limits)
        except OSError as reason:  # gone already
            log.debug("a connection broke: %s", reason)
            client.close()
            return None

    def _not_accepted(self, reason: OSError) -> None:
        if reason.errno in NO_DESCRIPTOR:
            log.warning("for a second no connection is accepted: %s", reason.strerror)
            self._accept_from = monotonic() + 1.0
            self.set_accept_enabled(False)
            self._close_idle()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept or do not; not at all within a second of having had no descriptor for it."""
        super().set_accept_enabled(enabled and monotonic() >= self._accept_from)

    # a request comes ----------------------------------------------------------------------------

    def _go_on(self, conn: Connection, _line: Line | None = None) -> None:
        """Take what has come, and do what is to be done with it."""
        try:
            if conn.stage is Stage.PARTING:
                self._throw_away(conn)
            elif (event := self._handshake(conn)) is not None:
                self._watch(conn, event)
            else:
                self._decide(conn, conn.gather())
        except OSError as reason:
            log.debug("a connection broke: %s", reason)
            self._close(conn)

    @staticmethod
    def _handshake(conn: Connection) -> int | None:
        """Return what TLS waits for to begin, None if it has begun."""
        if conn.stage is not Stage.HANDSHAKE:
            return None
        event: int | None = conn.sock.shake_hands()
        if event is None:
            conn.stage = Stage.HEAD
        return event

    def _decide(self, conn: Connection, outlook: Outlook | None) -> None:
        match outlook:
            case None:
                self._close(conn)
            case Outlook.BODY | Outlook.PART | Outlook.WHOLE if self._has_no_place(conn, outlook):
                self._refuse(conn, HTTPStatus.SERVICE_UNAVAILABLE, FULL)
            case Outlook.HEAD | Outlook.BODY:
                self._watch(conn, EVENT_READ)
            case Outlook.WHOLE if self._is_crowded and alive.is_asked(conn.incoming.held):
                self._tell_alive(conn)
            case Outlook.WHOLE:
                self._serve(conn)
            case Outlook.PART:
                conn.enter(Stage.QUEUED)
                self._unwatch(conn)
                self._queue.append(conn)
                self._give_places()
            case Outlook.TOO_LONG:
                words = f"Request line and headers are longer than {MOST_HEAD} bytes."
                self._refuse(conn, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, words)

    @staticmethod
    def _has_no_place(conn: Connection, outlook: Outlook) -> bool:
        is_probe = outlook is Outlook.WHOLE and alive.is_probe(conn.incoming.held)
        return conn.is_guest and not is_probe

    def _give_places(self) -> None:
        """Serve the uploads that have waited longest, as far as there are places for them."""
        while self._queue and len(self._uploads) < max(1, self.cfg.threads // 2):
            conn = self._queue.popleft()
            self._uploads.add(conn)
            self._serve(conn)

    def _serve(self, conn: Connection) -> None:
        """Hand a connection to a thread."""
        self._unwatch(conn)
        if not self._is_crowded:
            self._last_free = monotonic()
        conn.hand_over(partial(self.method_queue.defer, self._has_come, conn))
        self._served.add(conn)
        self.enqueue_req(conn)

    @property
    def _is_crowded(self) -> bool:
        threads: int = self.cfg.threads
        return len(self._served) >= threads

    def _tell_alive(self, conn: Connection) -> None:
        """Answer /livez here, where all threads are taken."""
        latest = max(self._last_free, *(served.sock.moved for served in self._served))
        conn.sock.offer(alive.answer(monotonic() - latest, self.limits.stuck))
        self._part(conn)

    def handle_request(self, req: Request, conn: Connection) -> bool:
        """Serve a request; the connection ends with it if we do."""
        if self.stopping.is_set() or conn.is_guest:
            req.force_close()
        goes_on: bool = super().handle_request(req, conn)
        return goes_on

    def _has_come(self, conn: Connection) -> None:
        """Give the place of an upload to another: of its body nothing is missing any more."""
        self._uploads.discard(conn)
        self._give_places()

    def finish_request(self, conn: Connection, fs: Future[object]) -> None:
        """Wait for the next request of a connection whose thread is done, or part."""
        self._served.discard(conn)
        self._last_free = monotonic()
        self._has_come(conn)
        if fs.cancelled() or fs.exception() is not None or not fs.result():
            self._part(conn)
            return
        conn.take_back()
        if conn.incoming.held or conn.sock.has_more:
            self._go_on(conn)
        else:
            self._watch(conn, EVENT_READ)

    def handle_error(self, req: object, client: Line, addr: object, exc: Exception) -> None:
        """Answer what the parser refused, and what failed around the application: in JSON."""
        if isinstance(exc, ParseException):
            status = STATUS.get(type(exc), HTTPStatus.BAD_REQUEST)
            client.offer(refusal(status, f"This is not HTTP as we speak it: {exc}"))
        else:
            log.error("a request failed around the application", exc_info=exc)
            client.offer(refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error."))

    # a connection goes --------------------------------------------------------------------------

    def _refuse(self, conn: Connection, status: HTTPStatus, words: str) -> None:
        retry_after = 1 if status is HTTPStatus.SERVICE_UNAVAILABLE else None
        conn.sock.offer(refusal(status, words, retry_after=retry_after))
        self._part(conn)

    def _part(self, conn: Connection) -> None:
        """Say that nothing more will be said, and let the client have it before we close."""
        if conn.sock.fileno() < 0:
            self._close(conn)
            return
        conn.sock.part()
        conn.enter(Stage.PARTING)
        self._watch(conn, EVENT_READ)

    def _throw_away(self, conn: Connection) -> None:
        piece = conn.sock.take(MOST_HEAD)
        conn.thrown_away += len(piece or b"")
        if piece == b"" or conn.thrown_away > MOST_HEAD:
            self._close(conn)

    def _close(self, conn: Connection) -> None:
        self._unwatch(conn)
        if conn.is_guest:
            del self._guests[conn]
        else:
            self.nr_conns -= 1
        conn.close()

    # the main thread looks around ---------------------------------------------------------------

    def _watch(self, conn: Connection, event: int) -> None:
        """Have the poller tell when it can go on."""
        if conn.watched == event:
            return
        self._unwatch(conn)
        self.poller.register(conn.sock, event, partial(self._go_on, conn))
        conn.watched = event
        self._watched[conn] = None

    def _unwatch(self, conn: Connection) -> None:
        if conn.watched:
            self.poller.unregister(conn.sock)
            conn.watched = 0
            del self._watched[conn]

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for events, not longer than until somebody's time may be over."""
        soon = self.nr_conns or self._told_of != 0 or self.stopping.is_set()
        super().wait_for_and_dispatch_events(min(timeout, TICK) if soon else timeout)

    def murder_keepalived(self, force: bool = False) -> None:
        """Close every connection that waits for something, at the very end."""
        for conn in [*self._watched] if force else ():
            self._close(conn)

    def _cap_keepalive(self, _deadline: float) -> None:
        """Do nothing: `Connection.is_late` says how long who waits may do so."""

    def murder_pending(self) -> None:
        """Part with who is too slow; gunicorn calls this whenever it has dispatched events."""
        now = monotonic()
        if now < self._look_at:
            return
        self._look_at = now + TICK
        busy, self._told_of = min(len(self._served), self.cfg.threads), self.nr_conns
        self.watch.holds(busy=busy, threads=self.cfg.threads, connections=self.nr_conns)
        if self.alive and now >= self._accept_until:
            self._stop_accepting()
        stopping = self.stopping.is_set()
        for conn in [conn for conn in self._watched if conn.is_late(now, stopping=stopping)]:
            self._go_on(conn)  # what has come this very moment is not lost
            if conn.watched and conn.is_late(now, stopping=stopping):
                self._end(conn)
        while self._queue and self._queue[0].is_late(now, stopping=stopping):
            self._refuse(self._queue.popleft(), HTTPStatus.SERVICE_UNAVAILABLE, NO_PLACE)
        self._relieve(now)
        if self.nr_conns >= self.worker_connections and not self._close_idle():
            self._turn_away()

    def _end(self, conn: Connection) -> None:
        """End the waiting for a request: with an answer, if there is any of it to be answered."""
        is_begun = conn.stage is Stage.HEAD and conn.incoming.held
        if conn.is_guest and conn.stage is Stage.HEAD:
            self._refuse(conn, HTTPStatus.SERVICE_UNAVAILABLE, FULL)
        elif is_begun or conn.stage is Stage.BODY:
            self._refuse(conn, HTTPStatus.REQUEST_TIMEOUT, LATE)
        else:
            self._close(conn)

    def _relieve(self, now: float) -> None:
        """End whom threads wait for, the slowest first, as many as others need those threads."""
        if self._queue and now - self._queue[0].since > SOON:
            self._end_slowest(self._uploads, len(self._queue), now)
        waiting = len(self._served) - self.cfg.threads
        if waiting <= 0:
            self._crowded_since = None
        elif self._crowded_since is None:
            self._crowded_since = now
        elif now - self._crowded_since > SOON:
            self._end_slowest(self._served, waiting, now)

    def _end_slowest(self, among: Iterable[Connection], many: int, now: float) -> None:
        least = CROWDED * self.limits.rate
        slow = [conn for conn in among if conn.sock.speed(now) < least]
        for conn in nsmallest(many, slow, key=lambda conn: conn.sock.speed(now)):
            conn.sock.give_up()

    def _close_idle(self) -> int:
        """Close the connections that have been idle longest; return how many there were."""
        idle = [conn for conn in self._watched if conn.stage is Stage.IDLE]
        oldest = nsmallest(min(TOGETHER, len(idle) // 4 + 1), idle, key=lambda conn: conn.since)
        for conn in oldest:
            self._close(conn)
        return len(oldest)

    def _turn_away(self) -> None:
        """Take as guests those who wait to be accepted: no other worker took them either."""
        for listener in self.sockets if self.alive and not self._accepting else ():
            for _ in range(GUESTS - len(self._served.intersection(self._guests))):
                try:
                    client, address = listener.accept()
                except OSError as reason:
                    self._not_accepted(reason)
                    break
                self.watch.turns_away()
                self._receive(self._begin(listener, client, address))
        self._part_with_guests()

    def _receive(self, conn: Connection | None) -> None:
        if conn is not None:
            conn.is_guest = True
            conn.limits = replace(conn.limits, head=min(conn.limits.head, GUEST_SPEAKS))
            self._guests[conn] = None
            self._go_on(conn)

    def _part_with_guests(self) -> None:
        """Have no more of them than may be: those that came first have had their time."""
        waiting = [conn for conn in self._guests if conn not in self._served]
        for conn in waiting[: max(0, len(self._guests) - GUESTS)]:
            if conn.stage is Stage.HEAD:
                words = refusal(HTTPStatus.SERVICE_UNAVAILABLE, FULL, retry_after=1)
                conn.sock.offer(words)
            self._close(conn)
