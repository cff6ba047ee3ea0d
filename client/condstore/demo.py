"""The whole system once, with real detector data; every step is checked, and said as it happens.

What `make run` and `make demo` do. On a `var/` that was used before, a frozen buffer is flushed
first, which archives it as a global tag of its own; everything earlier must resolve at the end.
"""

from __future__ import annotations

import json
from array import array
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from condstore import show, strain, streaming, up
from condstore.access import Credential
from condstore.client import Client
from condstore.config import Settings
from condstore.digests import Digest
from condstore.errors import CondstoreError, DemoFailed
from condstore.interrupts import until_stopped
from condstore.moments import Moment
from condstore.terminal import Terminal, plural, size
from condstore.verify import verify

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from condstore.results import Buffer, Payload, Tag
    from condstore.strain import Series

MAX_SIZE: Final = 800_000  # bytes; two of the three detectors stay below it, the third passes it
MOMENT: Final = Moment(968654552, 500_000_000)
_TOKEN: Final = "demo"  # noqa: S105 - a demonstration's, shown to anybody


def run(environ: Mapping[str, str], terminal: Terminal, *, serve: bool) -> None:
    """Start both tiers, show every step, and with `serve` go on serving until a signal."""
    both = up.plans({"LOG_LEVEL": "warning", **environ, "MAX_SIZE": str(MAX_SIZE)})
    buffer_url, logic_url = (plan.address.url for plan in both)
    terminal.say(terminal.bold("condstore demo: detector strain, from a stream to a frozen tag"))
    say = _Steps(terminal)
    with up.running(both, say.line_of) as tiers:
        settings, who = Settings.from_environ(environ), _who(environ)
        demo = _Demo(Client((logic_url,), token=who), buffer_url, settings, terminal, say, who)
        try:
            demo.show(strain.demo_file())
        except CondstoreError:
            tiers.refuse_if_dead()
            raise
        except KeyboardInterrupt:
            say("stop", "interrupted before the end; again is harmless")
            raise
        say("done", terminal.good("every step held"))
        if serve:
            _keep_serving(tiers, both, say)


def _who(environ: Mapping[str, str]) -> Credential:
    """Return who asks: CONDSTORE_TOKEN's, or else the admin of the servers that are started."""
    known = Credential.from_environ(environ, "CONDSTORE_TOKEN")
    return known if known.told else Credential.from_environ(environ, "ADMIN_TOKEN")


def _keep_serving(tiers: up.Tiers, both: tuple[up.Plan, up.Plan], say: _Steps) -> None:
    buffer_url, logic_url = (plan.address.url for plan in both)
    say("serving", f"status page {logic_url}/ - Ctrl-C stops both tiers")
    say("try", "condstore status")
    say("", f"condstore resolve stream {MOMENT.major}.25")
    if (logic_url, f"{buffer_url}/") != ("http://127.0.0.1:5000", "http://127.0.0.1:8080/"):
        say("with", f"CONDSTORE_URL={logic_url} DB_BURL={buffer_url}/")
    with until_stopped():
        tiers.watch()


class _Steps:
    """The two columns that the demo prints: what is being done, and what came of it."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def __call__(self, step: str, outcome: str) -> None:
        self._terminal.say(f"{self._terminal.bold(f'{step:8}')} {outcome}")

    def line_of(self, tier: str, line: str) -> None:
        """Pass on what a server says; that it serves is a step of the demo's own."""
        where, ready, what = line.partition(" ready on ")
        if ready:
            url, _, rest = what.partition(" (")
            self("up", f"{where} on {url}")
            self("", rest.removesuffix(")"))
            return
        self._terminal.say(self._terminal.dim(f"{tier:10} | {line}"))


class _Demo:
    """The steps, in order; each raises `DemoFailed`, or what the library raises."""

    def __init__(
        self,
        client: Client,
        buffer_url: str,
        settings: Settings,
        terminal: Terminal,
        say: _Steps,
        who: Credential,
    ) -> None:
        self._who = who
        self._client, self._buffer_url, self._settings = client, buffer_url, settings
        self._terminal, self._say = terminal, say

    def show(self, path: Path) -> None:
        """Show every step."""
        channels = self._data(path)
        earlier = self._room()
        self._stream(channels)
        self._freeze()
        self._fetch(self._resolve(channels), channels)
        self._earlier(earlier)
        self._verify()

    def _data(self, path: Path) -> tuple[Series, ...]:
        channels = strain.read(path)
        self._say("data", f"{path.name} (gwpy's own test data)")
        for series in channels:
            rate = f"{len(series.samples)} samples at {1 / series.dt:.0f} Hz from GPS {series.t0:f}"
            self._say("", f"{series.name}: {rate}")
        return channels

    def _room(self) -> tuple[Tag, ...]:
        """Flush the buffer if an earlier run froze it; return every tag kept from earlier runs."""
        held = self._client.buffer()
        if held.frozen:
            self._client.flush_buffer()
            archived = self._client.period(self._settings.stream_tag)
            self._say("flush", f"{_amount(held)}, frozen by an earlier run, are archived:")
            self._say("", f"they stay resolvable as global tag {archived}")
        elif held.files:
            self._say(
                "buffer", f"{_amount(held)} are there from an unfinished run; going on with it"
            )
        return tuple(tag for tag in self._client.tags() if tag.state == "frozen")

    def _stream(self, channels: tuple[Series, ...]) -> None:
        """Stream each detector, asking for the freeze after each as the digital twin does."""
        period = self._client.period(self._settings.stream_tag)
        for series in channels:
            work = streaming.Work((series,))
            with self._terminal.progress(series.name, work.segments, "segments") as advance:
                report = streaming.run(
                    work,
                    (self._client.url,),
                    period=period,
                    in_flight=16,
                    advance=advance,
                    token=self._who,
                )
            self._say("stream", f"{series.payload_type}: {show.streamed(report)}")
            if series is not channels[-1] and self._client.buffer().size < MAX_SIZE:
                asked = self._client.freeze_buffer(self._settings.user, _TOKEN)
                held = size(self._client.buffer().size)
                self._say("freeze?", f"{asked.answer} ({held} of {size(MAX_SIZE)})")

    def _freeze(self) -> None:
        if not self._client.freeze_buffer(self._settings.user, _TOKEN).frozen:
            raise DemoFailed(f"the buffer does not freeze though {MAX_SIZE} bytes were streamed")
        tag = self._client.tag(self._settings.stream_tag).tag
        if tag.state != "frozen" or tag.fingerprint is None:
            raise DemoFailed(f"the buffer is frozen, but its tag {tag.name} is {tag.state}")
        self._say("freeze", f"{self._terminal.warn('FROZEN')}: {_amount(self._client.buffer())}")
        self._say("", f"global tag {tag.name}, fingerprint {tag.fingerprint[:12]}")

    def _resolve(self, channels: tuple[Series, ...]) -> tuple[Payload, ...]:
        found = self._client.resolve(self._settings.stream_tag, MOMENT)
        self._say("resolve", f"what holds in {found.tag} at GPS {MOMENT.gps()}?")
        for payload in found.payloads:
            until = payload.end.gps() if payload.end else "further notice"
            digest = Digest.parse(str(payload.digest)).short
            self._say("", f"{payload.payload_type:14}  {digest}  until {until}")
        if missing := {one.payload_type for one in channels} - {
            payload.payload_type for payload in found.payloads
        }:
            raise DemoFailed(f"nothing covers GPS {MOMENT.gps()} for {', '.join(sorted(missing))}")
        return found.payloads

    def _fetch(self, payloads: tuple[Payload, ...], channels: tuple[Series, ...]) -> None:
        """Download each payload; its digest and its samples must be the file's."""
        by_type = {series.payload_type: series for series in channels}
        for payload in payloads:
            if payload.payload_type in by_type:
                content = self._client.payload(Digest.parse(str(payload.digest)))
                count = _same_samples(content, by_type[payload.payload_type])
                agrees = f"digest agrees, its {count} samples are the file's"
                self._say("get", f"{payload.payload_type}: {size(len(content))}, {agrees}")

    def _earlier(self, tags: tuple[Tag, ...]) -> None:
        """Resolve and fetch one payload of every tag kept from earlier runs."""
        for tag in tags:
            now = self._client.tag(tag.name)
            if now.tag.fingerprint != tag.fingerprint:
                raise DemoFailed(f"{tag.name} has changed: it was frozen as {tag.fingerprint}")
            for held in now.payload_lists[:1]:
                if held.begin is not None:
                    found = self._client.resolve(tag.name, held.begin, held.payload_type)
                    for payload in found.payloads:
                        if payload.digest is not None:  # None: it is kept elsewhere
                            self._client.payload(payload)
        if tags:
            self._say(
                "earlier", f"{plural(len(tags), 'frozen tag')} of earlier runs: still resolved"
            )

    def _verify(self) -> None:
        with self._terminal.stages("checking") as tell:
            access = self._settings.buffer_access
            report = verify(self._buffer_url, payloads=True, tell=tell, access=access)
        for line in show.verified(report, self._terminal):
            self._say("verify" if line.startswith("ledger") else "", line)
        if report.problems:
            raise DemoFailed("the ledger does not verify")


def _same_samples(content: bytes, series: Series) -> int:
    """Return how many samples the segment has; raise if they are not the file's at that time."""
    segment = json.loads(content, parse_float=Decimal)
    place = (Decimal(segment["t"][0]) - series.t0) / series.dt
    first, samples = int(place), array("d", map(float, segment["h"]))
    if place != first or samples != series.samples[first : first + len(samples)]:
        raise DemoFailed(f"{series.payload_type}: the samples that came back are not the file's")
    return len(samples)


def _amount(held: Buffer) -> str:
    return f"{plural(held.files, 'segment')}, {size(held.size)}"
