"""What has come of a request, and how fast somebody has to be: the rules without a socket."""

import math

import pytest

from datastore_logic.serving.incoming import GATHERED, Incoming, Outlook
from datastore_logic.serving.pace import Limits, Pace

HEAD = b"POST /x HTTP/1.1\r\nHost: x\r\n"
LONG = b"x" * GATHERED

SEEN = [
    (b"", Outlook.HEAD),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r", Outlook.HEAD),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Outlook.WHOLE),
    (b"\r\nGET / HTTP/1.1\r\n\r\n", Outlook.WHOLE),
    (b"GET / HTTP/1.1\r\n\r\nGET / HT", Outlook.WHOLE),
    (b"nonsense\r\n\r\n", Outlook.WHOLE),
    (b"GET / HTTP/1.1\nHost", Outlook.WHOLE),
    (b"GET / HTTP/1.1\r\nA: b\n\n", Outlook.WHOLE),
    (b"GET /" + LONG, Outlook.TOO_LONG),
    (HEAD + b"Content-Length: 3\r\n\r\n", Outlook.BODY),
    (HEAD + b"cOnTeNt-LeNgTh:\t3 \r\n\r\nab", Outlook.BODY),
    (HEAD + b"Content-Length: 3\r\n\r\nabc", Outlook.WHOLE),
    (HEAD + b"Content-Length: 3\r\n\r\nabcGET", Outlook.WHOLE),
    (HEAD + b"Content-Length: 0\r\n\r\n", Outlook.WHOLE),
    (HEAD + b"Content-Length: 999999\r\n\r\n" + LONG, Outlook.PART),
    (HEAD + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n", Outlook.PART),
    (HEAD + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc", Outlook.WHOLE),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", Outlook.BODY),
    (HEAD + b"Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", Outlook.PART),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n", Outlook.PART),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Outlook.PART),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n" + LONG, Outlook.PART),
    # in doubt: the parser is to refuse it, at once
    (HEAD + b"Content-Length: 3\r\nContent-Length: 9\r\n\r\n", Outlook.WHOLE),
    (HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", Outlook.WHOLE),
    (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", Outlook.WHOLE),
    (HEAD + b"Content-Length: -3\r\n\r\n", Outlook.WHOLE),
    (HEAD + b"Content-Length: +3\r\n\r\n", Outlook.WHOLE),
    (HEAD + b"Content-Length: 3, 3\r\n\r\n", Outlook.WHOLE),
    (HEAD + b"Content-Length: 9" + b"9" * 30 + b"\r\n\r\n", Outlook.WHOLE),
]


@pytest.mark.parametrize(("sent", "outlook"), SEEN, ids=range(len(SEEN)))
@pytest.mark.parametrize("step", [1, 7, 10**9])
def test_what_has_come_says_what_is_to_be_done(sent, outlook, step):
    """It is the same in whatever pieces it comes; a piece is never waited for in vain."""
    if step == 1 and len(sent) > 1000:
        step = 499
    incoming = Incoming()
    for start in range(0, len(sent), step):
        incoming.add(sent[start : start + step])
        incoming.outlook()
    assert incoming.outlook() is outlook
    assert incoming.room > 0 or outlook not in {Outlook.HEAD, Outlook.BODY}


def test_what_is_missing_is_known():
    """Where the length was told; where chunks come, only their end tells."""
    incoming = Incoming(HEAD + b"Content-Length: 10\r\n\r\nabc")
    assert incoming.outlook() is Outlook.BODY
    assert incoming.missing == 7
    chunked = Incoming(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    assert chunked.outlook() is Outlook.BODY
    assert chunked.missing is None


def ended_after(pace, came, limit=10_000):
    """Return after how many seconds a sender is given up who sends `came(second)` bytes in each."""
    for second in range(limit):
        if pace.would_be_spent(1.0) and not came(second):
            return second
        pace.after(1.0, came(second))
        if pace.is_spent:
            return second
    return math.inf


@pytest.mark.parametrize(
    ("came", "between"),
    [
        (lambda _: 0, (29, 31)),
        (lambda _: 1, (29, 31)),
        (lambda _: 512, (58, 62)),
        (lambda second: 10**9 if second == 0 else 1, (30, 33)),
        (lambda _: 1024, (math.inf, math.inf)),
        (lambda second: 29 * 1024 if second % 29 == 28 else 0, (math.inf, math.inf)),
    ],
    ids=["silent", "drips", "half-the-rate", "first-fast-then-drips", "the-rate", "in-bursts"],
)
def test_who_keeps_to_the_pace_is_waited_for(came, between):
    """And nobody else is, however much he sent at first."""
    assert between[0] <= ended_after(Limits().pace(), came) <= between[1]


def test_without_a_rate_any_byte_will_do():
    """Only silence ends it then."""
    assert ended_after(Pace(0, 5.0), lambda second: second % 4 == 0) == math.inf
    assert ended_after(Pace(0, 5.0), lambda second: second < 9) < 16


def test_speed_is_of_late():
    """Who has been waited for a moment only is not slow; what came at first does not help later."""
    pace = Pace(1000, 30)
    pace.after(0.5, 10**6)
    assert pace.speed(0.4) == math.inf
    pace.after(0.5, 0)
    assert pace.speed(0.0) == 10**6
    assert pace.speed(1.0) == 0
    for _ in range(2):
        pace.after(0.5, 8)
    assert pace.speed(0.9) == 16
