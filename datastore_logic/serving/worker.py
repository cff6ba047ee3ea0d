"""The worker as gunicorn knows it: its hooks, handed on to those who do the work, and its ticks.

What it promises, and which module keeps which promise: the package's own docstring. Here is what
none of them knows alone: when it stops, and what is looked at a few times a second. All of it runs
in the main thread, but for `handle_request` and `handle_error`.
"""

from __future__ import annotations

import logging
import resource
import signal
import sys
from functools import partial
from http import HTTPStatus
from math import inf
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Final

from gunicorn.workers.gthread import ThreadWorker

from datastore_logic.serving.door import Door
from datastore_logic.serving.gathering import Gathering
from datastore_logic.serving.guests import Guests
from datastore_logic.serving.pace import Limits
from datastore_logic.serving.parting import Parting
from datastore_logic.serving.refusal import failure
from datastore_logic.serving.threads import Threads
from datastore_logic.serving.uploads import NO_PLACE, Uploads
from datastore_logic.serving.waiting import Waiting
from datastore_logic.serving.watch import Unwatched

if TYPE_CHECKING:
    import socket
    from concurrent.futures import Future

    from gunicorn.http.message import Request

    from datastore_logic.serving.connection import Connection
    from datastore_logic.serving.line import Line
    from datastore_logic.serving.watch import Watch

TICK: Final = 0.25
"""Seconds between two looks at whose time is over."""

SPARE_FILES: Final = 300
"""Descriptors of a worker that are no connections of callers: the view, the databuffer, …."""

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
        self.stopping = Event()
        """Set at SIGTERM; /readyz looks at it too."""
        self._accept_until = inf
        self._look_at = 0.0
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
        self._wire()
        super().run()

    def _wire(self) -> None:
        """Bring together who does the work, now that limits and poller are there."""
        threads, rate = self.cfg.threads, self.limits.rate
        self._door = Door(self.cfg, self.limits, self._shut)
        self._guests = Guests()
        self._waiting = Waiting(self.poller, self._go_on)
        self._parting = Parting(self._waiting, self._gone)
        self._threads = Threads(threads, rate)
        self._uploads = Uploads(threads, rate, self._serve)
        self._gathering = Gathering(
            self._waiting, self._parting, self._threads, self._uploads, self._serve
        )

    # connections come and go --------------------------------------------------------------------

    def accept(self, listener: socket.socket) -> None:
        """Take a new connection, and what has come on it."""
        self._accept(listener, 1)

    def _accept(self, listener: socket.socket, most: int) -> None:
        for conn in self._door.arrivals(listener, most):
            if conn is not None:
                self.nr_conns += 1
                self._go_on(conn)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept or do not; not at all within a second of having had no descriptor for it."""
        super().set_accept_enabled(enabled and self._door.may_open)

    def _shut(self) -> None:
        self.set_accept_enabled(False)
        self._close_idle()

    def _close_idle(self) -> int:
        """Close the connections that have been idle longest; return how many there were."""
        oldest = self._waiting.longest_idle()
        for conn in oldest:
            self._parting.close(conn)
        return len(oldest)

    def _gone(self, conn: Connection) -> None:
        if conn.is_guest:
            self._guests.leave(conn)
        else:
            self.nr_conns -= 1

    # requests come, and are served --------------------------------------------------------------

    def _go_on(self, conn: Connection, _line: Line | None = None) -> None:
        self._gathering.go_on(conn)

    def _serve(self, conn: Connection) -> None:
        """Hand a connection to a thread."""
        self._waiting.discard(conn)
        self._threads.take(conn)
        conn.hand_over(partial(self.method_queue.defer, self._uploads.has_come, conn))
        self.enqueue_req(conn)

    def handle_request(self, req: Request, conn: Connection) -> bool:
        """Serve a request; the connection ends with it if we do."""
        if self.stopping.is_set() or conn.is_guest:
            req.force_close()
        goes_on: bool = super().handle_request(req, conn)
        return goes_on

    def handle_error(self, req: object, client: Line, addr: object, exc: Exception) -> None:
        """Answer what the parser refused, and what failed around the application: in JSON."""
        client.offer(failure(exc))

    def finish_request(self, conn: Connection, fs: Future[object]) -> None:
        """Wait for the next request of a connection whose thread is done, or part."""
        self._threads.release(conn)
        self._uploads.has_come(conn)
        if fs.cancelled() or fs.exception() is not None or not fs.result():
            self._parting.part(conn)
        else:
            self._gathering.begin_next(conn)

    # the worker stops ---------------------------------------------------------------------------

    def handle_exit(self, _sig: int, _frame: object) -> None:
        """Begin to stop, at SIGTERM."""
        if not self.stopping.is_set():
            self.stopping.set()
            self._accept_until = monotonic() + self.limits.drain
            self.method_queue.defer(self._begin_to_stop)

    def _begin_to_stop(self) -> None:
        self._waiting.begin_anew()

    def _stop_accepting(self) -> None:
        """Close the port, after the last of the connections that are waiting: it resets them."""
        for listener in self.sockets if self._accepting else ():
            self._accept(listener, sys.maxsize)
        self.set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()
        self.sockets = []
        self.alive = False

    def murder_keepalived(self, force: bool = False) -> None:
        """Close every connection that waits for something, at the very end."""
        for conn in self._waiting if force else ():
            self._parting.close(conn)

    def _cap_keepalive(self, _deadline: float) -> None:
        """Do nothing: `Connection.is_late` says how long who waits may do so."""

    # a few times a second -----------------------------------------------------------------------

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for events, not longer than until somebody's time may be over."""
        soon = self.nr_conns or self._told_of != 0 or self.stopping.is_set()
        super().wait_for_and_dispatch_events(min(timeout, TICK) if soon else timeout)

    def murder_pending(self) -> None:
        """Look around; gunicorn calls this whenever it has dispatched events."""
        now = monotonic()
        if now < self._look_at:
            return
        self._look_at = now + TICK
        self._tell()
        if self.alive and now >= self._accept_until:
            self._stop_accepting()
        self._end_late(now)
        self._uploads.relieve(now)
        self._threads.relieve(now)
        if self.nr_conns >= self.worker_connections and not self._close_idle():
            self._turn_away()

    def _tell(self) -> None:
        self._told_of = self.nr_conns
        self.watch.holds(
            busy=self._threads.busy, threads=self.cfg.threads, connections=self.nr_conns
        )

    def _end_late(self, now: float) -> None:
        """Part with who is too slow."""
        stopping = self.stopping.is_set()
        for conn in self._waiting.late(now, stopping=stopping):
            self._go_on(conn)  # what has come this very moment is not lost
            if conn in self._waiting and conn.is_late(now, stopping=stopping):
                self._parting.end(conn)
        for conn in self._uploads.late(now, stopping=stopping):
            self._parting.refuse(conn, HTTPStatus.SERVICE_UNAVAILABLE, NO_PLACE)

    def _turn_away(self) -> None:
        """Take as guests those who wait to be accepted: no other worker took them either."""
        for listener in self.sockets if self.alive and not self._accepting else ():
            for conn in self._door.arrivals(listener, self._guests.room):
                self.watch.turns_away()
                if conn is not None:
                    self._guests.welcome(conn)
                    self._go_on(conn)
        for conn in self._guests.surplus():
            self._parting.turn_out(conn)
