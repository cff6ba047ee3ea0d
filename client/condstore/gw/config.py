"""What the environment says to the GW producer; nothing else in this package reads it.

The names are the twin's, and CONDSTORE_TOKEN, for which its service did not ask. INF and SUP are
added to the event's time, so INF is usually negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from condstore.access import NOBODY, Access
from condstore.config import Settings, parse_urls
from condstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH: Final = "/streamdata"
_LONGEST_NUMBER: Final = 40


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when, in seconds added to the event's GPS time."""

    inf: Decimal
    sup: Decimal


@dataclass(frozen=True, slots=True)
class Config:
    """Which event (a name or a GPS time), which detector ("": any), and where to post it."""

    event: str
    detector: str
    window: Window | None
    url: str
    stream_tag: str
    access: Access = NOBODY

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Config:
        """Read GWID, DTCID, INF, SUP, SRV; raise `UsageError` naming the variable.

        >>> told = Config.from_environ({"GWID": "GW150914", "INF": "-15", "SUP": "16"})
        >>> told.window, told.url
        (Window(inf=Decimal('-15'), sup=Decimal('16')), 'http://localhost:5000/streamdata')
        """
        settings = Settings.from_environ(environ)
        url = environ.get("SRV") or settings.urls[0] + PATH
        return cls(
            event=environ.get("GWID", "").strip(),
            detector=environ.get("DTCID", "").strip(),
            window=_window(environ),
            url=parse_urls(url, "SRV")[0],
            stream_tag=settings.stream_tag,
            access=settings.access,
        )

    @property
    def gps(self) -> Decimal | None:
        """The event's time, if GWID is one: a number instead of a name."""
        try:
            number = Decimal(self.event)
        except InvalidOperation:
            return None
        return number if number.is_finite() else None

    @property
    def base(self) -> str:
        """The service that `/streamdata` belongs to; "" if the URL ends otherwise."""
        return self.url.removesuffix(PATH) if self.url.endswith(PATH) else ""


def _window(environ: Mapping[str, str]) -> Window | None:
    told = [name for name in ("INF", "SUP") if environ.get(name)]
    if not told:
        return None
    if len(told) == 1:
        raise UsageError(f"{told[0]} is set alone; INF and SUP go together, e.g. INF=-15 SUP=16")
    window = Window(_seconds(environ, "INF"), _seconds(environ, "SUP"))
    if window.inf >= window.sup:
        raise UsageError(
            f"INF={window.inf} is not below SUP={window.sup}: both are added to the event's time, "
            "e.g. INF=-15 SUP=16"
        )
    return window


def _seconds(environ: Mapping[str, str], name: str) -> Decimal:
    text = environ[name].strip()
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if len(text) > _LONGEST_NUMBER or not number.is_finite() or abs(number) >= 10**9:
        raise UsageError(f"{name}={text[:_LONGEST_NUMBER]!r} is not a number of seconds")
    return number
