"""The gunicorn worker of this tier: threads for requests that have come, none for who dawdles.

gunicorn's own gives a thread to each connection that says a first byte, and lets it wait: 32
clients that send a byte a second hold every thread there is. Here:

- **The main thread gathers** (gathering, incoming, waiting). It takes what has come of a request,
  TLS handshake included, without ever waiting, and hands it to a thread when it is whole, or when
  64 KiB of it are there. So who drips a head or an ordinary body costs a descriptor and some
  memory, and is answered 408 when that takes too long: HEADER_TIMEOUT for the head, the pace for
  the body (pace, line).
- **Uploads have half of the threads** (uploads). A longer body is read by a thread, at the same
  pace, and takes one of those places until it has come. So threads for all other requests are
  always left.
- **Under pressure the slowest ends first** (relief, threads). If uploads wait for a place, or
  requests for a thread, because peers are waited for, then the slowest of these end, unless they
  send (or take their answers) at sixteen times MIN_BODY_RATE.
- **Stopping is said** (worker). From SIGTERM on each answer says `Connection: close`. For
  DRAIN_SECONDS new connections are still taken: whoever routes them here hears of our end a little
  later. Then the port closes, idle connections a moment later, and requests in flight have
  SHUTDOWN_GRACE.
- **Alive is answered by who is free** (alive). When all threads are taken the main thread answers
  /livez: 503 only if none of them gets anywhere, however busy they are.
- **Full is said** (guests, door). Above its share of MAX_CONNECTIONS a worker first closes idle
  connections; then new ones are guests, for a second and the newest of them: they are answered 503,
  but for probes and scrapes. Otherwise whoever opens enough connections would have every replica
  killed. Where the system has no descriptor left it pauses for a second rather than spin.
- **Closing waits for nobody** (parting).
"""
