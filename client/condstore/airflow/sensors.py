"""Sensors that wait in the triggerer (or, `deferrable=False`, on a worker as Airflow's own do).

`poke_interval` seconds, a quarter more or less, lie between two looks; `timeout` ends the wait. A
store that is away is waited for.
"""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException

from condstore.airflow import watches
from condstore.airflow.failures import told
from condstore.airflow.hook import DEFAULT_CONN_ID, Arguments, CondstoreHook
from condstore.airflow.triggers import ONCE, WatchTrigger
from condstore.airflow.written import names
from condstore.errors import CondstoreError
from condstore.moments import Moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from condstore.moments import When
    from condstore.results import Json


class WatchSensor(BaseSensorOperator):
    """Wait for what `watch` says; return what it saw."""

    template_fields: Sequence[str] = ("condstore_conn_id",)
    ui_color = "#dcebe5"

    def __init__(
        self,
        *,
        condstore_conn_id: str = DEFAULT_CONN_ID,
        deferrable: bool = True,
        **kwargs: Arguments,
    ) -> None:
        super().__init__(**kwargs)
        self.condstore_conn_id = condstore_conn_id
        self.deferrable = deferrable

    @abstractmethod
    def watch(self) -> watches.BufferFilled | watches.TagFrozen | watches.TagCovers:
        """Return what is waited for, its templates filled in."""

    def execute(self, context: Context) -> Json:
        """Look once; wait in the triggerer if there is need to."""
        if not self.deferrable:
            return super().execute(context)
        seen = self._look()
        if seen is None or not seen.done:
            self.defer(
                trigger=WatchTrigger(
                    self.condstore_conn_id, watches.written(self.watch()), self.poke_interval
                ),
                method_name=WatchSensor.resume.__name__,
                timeout=timedelta(seconds=self.timeout),
            )
        return seen.value

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once, on the worker."""
        seen = self._look()
        return PokeReturnValue(seen is not None and seen.done, seen.value if seen else None)

    def resume(self, context: Context, event: Mapping[str, Json]) -> Json:
        """Return what the triggerer saw; fail with its words, once and for all."""
        if "error" in event:
            raise AirflowFailException(event["error"])
        return event["value"]

    def _look(self) -> watches.Seen | None:
        try:
            with told():
                seen = self.watch().look(CondstoreHook(self.condstore_conn_id).store(), ONCE)
        except CondstoreError as error:
            self.log.warning("not seen: %s", error)
            return None
        self.log.info("%s", seen.words)
        return seen


class BufferFilledSensor(WatchSensor):
    """Wait until the streaming buffer holds `at_least` bytes, or is frozen; return its bytes.

    `url`, `stat` and `desc` lead to a service of the twin that is not the connection's.
    """

    template_fields: Sequence[str] = (*WatchSensor.template_fields, "at_least", "url")

    def __init__(
        self,
        *,
        at_least: int | str,
        url: str | None = None,
        stat: str = "/bufstat",
        desc: str = "/dsdesc",
        **kwargs: Arguments,
    ) -> None:
        super().__init__(**kwargs)
        self.at_least = at_least
        self.url = url
        self.stat = stat
        self.desc = desc

    def watch(self) -> watches.BufferFilled:
        """Return what is waited for."""
        return watches.BufferFilled(int(self.at_least), self.url, self.stat, self.desc)


class TagFrozenSensor(WatchSensor):
    """Wait until a tag is frozen; return `TAG@<fingerprint>`. One that is not there is awaited."""

    template_fields: Sequence[str] = (*WatchSensor.template_fields, "tag")

    def __init__(self, *, tag: str, **kwargs: Arguments) -> None:
        super().__init__(**kwargs)
        self.tag = tag

    def watch(self) -> watches.TagFrozen:
        """Return what is waited for."""
        return watches.TagFrozen(self.tag)


class TagCoversSensor(WatchSensor):
    """Wait until a tag has no gap over [begin, end), of the types given or of all it has.

    Return the state that was looked at, `TAG@<LSN>` or `TAG@<fingerprint>`: what comes later in the
    tag cannot open a gap in that.
    """

    template_fields: Sequence[str] = (
        *WatchSensor.template_fields,
        *("tag", "begin", "end", "payload_types"),
    )

    def __init__(
        self,
        *,
        tag: str,
        begin: When,
        end: When,
        payload_types: Sequence[str] = (),
        **kwargs: Arguments,
    ) -> None:
        super().__init__(**kwargs)
        self.tag = tag
        self.begin = begin
        self.end = end
        self.payload_types = payload_types

    def watch(self) -> watches.TagCovers:
        """Return what is waited for."""
        return watches.TagCovers(
            self.tag,
            Moment.of(self.begin).pair(),
            Moment.of(self.end).pair(),
            names(self.payload_types),
        )
