"""What probes ask, and /livez where every thread is taken: whether they get anywhere.

Busy is no reason to be started again, nor is a databuffer that is away or hangs: its callers give
up after BUFFER_TIMEOUT. Threads of which none has ended a request, or moved a byte, in ten times
that long hang for good.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from datastore_logic.serving.refusal import compose

TIMES_BUFFER_TIMEOUT: Final = 10

_ASKED: Final = re.compile(rb"(?:GET|HEAD) /livez(?:\?[^ ]*)? HTTP/1\.")
_PROBE: Final = re.compile(rb"(?:GET|HEAD) /(?:livez|readyz|metrics)(?:\?[^ ]*)? HTTP/1\.")


def is_asked(held: bytes | bytearray) -> bool:
    """Tell whether a request that has come is for /livez."""
    return _ASKED.match(held) is not None


def is_probe(held: bytes | bytearray) -> bool:
    """Tell whether a request that has come is one that is answered however full it is."""
    return _PROBE.match(held) is not None


def answer(nowhere: float, stuck: float) -> bytes:
    """Return the answer where for so many seconds no thread got anywhere."""
    if nowhere <= stuck:
        return compose(HTTPStatus.OK, {"alive": True})
    words = f"For {nowhere:.0f} s none of the threads got anywhere."
    return compose(HTTPStatus.SERVICE_UNAVAILABLE, {"alive": False, "detail": words})
