"""The last answers of this process, so that a job asks nobody until the next boundary.

Two things bound it: answers a question, and payload rows in all (an answer about 200 types is
about 100 kB in memory). Nothing here is changed in place but one dictionary, so threads share it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from condstore.moments import Moment
    from condstore.results import Resolution

_EACH: Final = 16  # answers a question
_ROWS: Final = 20_000  # payloads and gaps of all answers


class Recent:
    """Resolutions by question, the last first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, tuple[Resolution, ...]] = OrderedDict()
        self._rows = 0

    def find(self, question: str, moment: Moment) -> Resolution | None:
        """Return the answer that holds at this moment, as if it had been asked about this one."""
        for answer in self._answers.get(question, ()):
            if answer.holds_at(moment):
                return told_at(answer, moment)
        return None

    def keep(self, question: str, answer: Resolution) -> None:
        """Remember an answer, and forget what has not been kept anew for longest."""
        with self._lock:
            before = self._answers.pop(question, ())
            now = (answer, *before)[:_EACH]
            self._answers[question] = now
            self._rows += _rows(now) - _rows(before)
            while self._rows > _ROWS and len(self._answers) > 1:
                self._rows -= _rows(self._answers.popitem(last=False)[1])
            if self._rows > _ROWS:
                self._answers[question] = (answer,)
                self._rows = _rows((answer,))


def told_at(answer: Resolution, moment: Moment) -> Resolution:
    """Return the answer as it is told to who asks about this moment of its interval."""
    return answer if answer.moment == moment else replace(answer, moment=moment)


def _rows(answers: tuple[Resolution, ...]) -> int:
    return sum(1 + len(answer.payloads) + len(answer.gaps) for answer in answers)
