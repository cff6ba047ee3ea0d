"""Operators: one act on the store each, and one that may be done again.

A task that is tried again after it succeeded succeeds again, with the same result: frozen stays
frozen, what stands in a tag is not inserted twice, what was streamed is not streamed twice.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from airflow.sdk import AssetAlias, BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from condstore.airflow import assets
from condstore.airflow.failures import told
from condstore.airflow.hook import DEFAULT_CONN_ID, Arguments, CondstoreHook
from condstore.errors import Conflict, UsageError
from condstore.moments import Moment
from condstore.results import NewIOV

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow.sdk import Context

    from condstore.airflow.connection import Store
    from condstore.results import Json


class CondstoreOperator(BaseOperator):
    """Act on the store that a connection names."""

    template_fields: Sequence[str] = ("condstore_conn_id",)
    ui_color = "#dcebe5"

    def __init__(self, *, condstore_conn_id: str = DEFAULT_CONN_ID, **kwargs: Arguments) -> None:
        super().__init__(**kwargs)
        self.condstore_conn_id = condstore_conn_id

    def execute(self, context: Context) -> Json:
        """Act; fail for good where trying again would not help."""
        with told():
            return self.act(CondstoreHook(self.condstore_conn_id).store(), context)

    @abstractmethod
    def act(self, store: Store, context: Context) -> Json:
        """Do it, and return what other tasks may want to know."""


class FreezeTagOperator(CondstoreOperator):
    """Freeze a tag; return `TAG@<fingerprint>`, and publish it as an asset event.

    `strict` refuses a tag with a gap, with a payload that is not in the store, or with less than
    `template` has. The event belongs to the tag's asset, `condstore://host:port/TAG`, to every
    asset among the task's `outlets`, and to the alias `condstore-frozen`.
    """

    template_fields: Sequence[str] = (
        *CondstoreOperator.template_fields,
        *("tag", "reason", "template"),
    )

    def __init__(
        self,
        *,
        tag: str,
        reason: str | None = None,
        strict: bool = False,
        template: str | None = None,
        read_bytes: bool = False,
        outlets: Sequence[Any] = (),
        **kwargs: Arguments,
    ) -> None:
        super().__init__(outlets=[*outlets, AssetAlias(assets.FROZEN)], **kwargs)
        self.tag = tag
        self.reason = reason
        self.strict = strict
        self.template = template
        self.read_bytes = read_bytes

    def act(self, store: Store, context: Context) -> str:
        """Freeze it; a frozen tag answers the same again."""
        frozen = store.client().freeze_tag(
            self.tag,
            reason=self.reason,
            strict=self.strict,
            template=self.template,
            read_bytes=self.read_bytes,
        )
        self.log.info("%s is frozen: %s", frozen.tag, frozen.reference)
        assets.publish(frozen, store, context)
        return frozen.reference


class UnfreezeTagOperator(CondstoreOperator):
    """Open a frozen tag again, for a `reason` that its history keeps; return its state."""

    template_fields: Sequence[str] = (*CondstoreOperator.template_fields, "tag", "reason")

    def __init__(self, *, tag: str, reason: str, **kwargs: Arguments) -> None:
        super().__init__(**kwargs)
        self.tag = tag
        self.reason = reason

    def act(self, store: Store, context: Context) -> str:
        """Unfreeze it; an unlocked tag stays unlocked."""
        return store.client().unfreeze_tag(self.tag, reason=self.reason).state


class CloneTagOperator(CondstoreOperator):
    """Make the unlocked tag `name` with the content of `source`; return its name.

    A tag of that name with the same content is the clone that an earlier try made. With other
    content it is not, and the task fails for good.
    """

    template_fields: Sequence[str] = (
        *CondstoreOperator.template_fields,
        *("source", "name", "description"),
    )

    def __init__(
        self, *, source: str, name: str, description: str | None = None, **kwargs: Arguments
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.name = name
        self.description = description

    def act(self, store: Store, context: Context) -> str:
        """Clone it, or see that it was cloned."""
        client = store.client()
        try:
            return client.clone_tag(self.source, self.name, description=self.description).name
        except Conflict as conflict:
            found = client.diff(self.source, self.name, limit=1)
            if found.changes or self.name == self.source.partition("@")[0]:
                raise AirflowFailException(
                    f"{self.name} exists and has not the content of {self.source}: choose another "
                    f"name, or look at `condstore tag diff {self.source} {self.name}`"
                ) from conflict
        self.log.info("%s has the content of %s already", self.name, self.source)
        return self.name


class InsertIOVOperator(CondstoreOperator):
    """Insert payload IOVs into a tag, all or none; return how many came to stand there.

    Each of `iovs` is a `NewIOV` or a mapping: `payload_type`, `start`, and what is known of `end`,
    `name`, `digest`, `checksum`, `size`, `revision`. Moments are written `1200`, `"1200:17"`,
    `"968654552.25"` or `[1200, 17]`. Without an end an IOV stops at the next start of its type.
    """

    template_fields: Sequence[str] = (*CondstoreOperator.template_fields, "tag", "iovs")

    def __init__(
        self, *, tag: str, iovs: Iterable[NewIOV | Mapping[str, Json]], **kwargs: Arguments
    ) -> None:
        super().__init__(**kwargs)
        self.tag = tag
        self.iovs = iovs

    def act(self, store: Store, context: Context) -> dict[str, Json]:
        """Insert them; those that stand there as they are written are not inserted again."""
        done = store.client().insert_iovs(self.tag, [new_iov(row) for row in self.iovs])
        self.log.info("%s: %d payload IOVs inserted, LSN %d", done.tag, done.inserted, done.lsn)
        return {"tag": done.tag, "inserted": done.inserted, "lsn": done.lsn}


def new_iov(row: NewIOV | Mapping[str, Json]) -> NewIOV:
    """Return a payload IOV as a DAG writes it; raise `UsageError` naming what is not understood.

    >>> new_iov({"payload_type": "Beam", "start": [100, 0], "name": "beam-100"}).start
    Moment(major=100, minor=0)
    """
    if isinstance(row, NewIOV):
        return row
    try:
        start, end = row["start"], row.get("end")
        moments = {"start": Moment.of(start), "end": None if end is None else Moment.of(end)}
        return NewIOV(**{**row, **moments})
    except (TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f"{row!r} is no payload IOV ({error}): write payload_type, start and, where known, "
            "end, name, digest, checksum, size, revision"
        ) from error
