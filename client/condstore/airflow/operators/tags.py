"""Operators on tags: freeze, unfreeze, clone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import AssetAlias
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from condstore import show
from condstore.airflow import assets
from condstore.airflow.findings import in_words
from condstore.airflow.once import key_of
from condstore.airflow.operators.base import CondstoreOperator
from condstore.errors import Conflict, UsageError
from condstore.results import FreezeProposed, TagFrozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from condstore.airflow.connection import Store
    from condstore.airflow.hook import Arguments
    from condstore.client import Client
    from condstore.results import Json


class FreezeTagOperator(CondstoreOperator):
    """Freeze a tag; return `TAG@<fingerprint>`, and publish it as an asset event.

    `strict` refuses a tag with a gap, with a payload that is not in the store, or with less than
    `template` has; without it the log says so. `report=False` freezes a large tag without that
    look, which may take a minute. The event belongs to the tag's asset, `condstore://host:port/TAG`,
    to every asset among the task's `outlets`, and to the alias `condstore-frozen`.

    Where two admins must want a freeze, this is one of them: the try fails, and says who else must
    confirm; once another has, the next try finds the tag frozen and succeeds.

    `TAG@<fingerprint>` is frozen already: it is looked over and published, nothing else.
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
        report: bool = True,
        **kwargs: Arguments,
    ) -> None:
        super().__init__(**kwargs)
        if AssetAlias(assets.FROZEN) not in self.outlets:
            self.outlets.append(AssetAlias(assets.FROZEN))
        self.tag = tag
        self.reason = reason
        self.strict = strict
        self.template = template
        self.read_bytes = read_bytes
        self.report = report or strict

    def act(self, store: Store, context: Context) -> str:
        """Freeze it; a frozen tag answers the same again."""
        client = store.client()
        known = "@" in self.tag
        frozen = self._known(client) if known else self._freeze(client, context)
        if frozen.state != "frozen":  # the store answers with the tag as it stands now
            frozen = _frozen_before(client, self.tag)
            self.log.warning("%s was frozen, and opened again since: it stays so", frozen.tag)
        self.log.info("%s is frozen: %s", frozen.tag, frozen.reference)
        if frozen.report is not None and not frozen.report.ok:
            self.log.warning("%s has %s", frozen.tag, in_words(frozen.report))
        assets.publish(frozen, store, context)
        return frozen.reference

    def _freeze(self, client: Client, context: Context) -> TagFrozen:
        frozen = self._ask(client, context)
        if isinstance(frozen, FreezeProposed) and not _is_ours(client, self.tag):
            # what an earlier try proposed has ended: this one wants what is there now
            frozen = self._ask(client, context, client.tag(self.tag).tag.lsn)
        if isinstance(frozen, FreezeProposed):
            said = show.proposed(frozen.tag, frozen.freeze)
            raise AirflowException("; ".join(map(str.strip, said)))
        return frozen

    def _ask(self, client: Client, context: Context, *anew: int) -> TagFrozen | FreezeProposed:
        look: dict[str, Json] = {"template": self.template, "read_bytes": self.read_bytes}
        asked = {"reason": self.reason, "strict": self.strict, "report": self.report, **look}
        try:
            return client.freeze_tag(self.tag, key=key_of(context, self.tag, asked, *anew), **asked)
        except Conflict as conflict:
            if conflict.code != "preflight_failed":
                raise
            found = in_words(client.check(self.tag, **look))
            raise AirflowException(f"{self.tag} is not frozen: {found}") from conflict

    def _known(self, client: Client) -> TagFrozen:
        tag = client.tag(self.tag).tag
        if tag.fingerprint is None:
            raise UsageError(f"{self.tag} is no frozen state: give TAG or TAG@<fingerprint>")
        look: dict[str, Json] = {"template": self.template, "read_bytes": self.read_bytes}
        report = client.check(self.tag, **look) if self.report else None
        if self.strict and report is not None and not report.ok:
            raise AirflowFailException(f"{self.tag} was frozen with {in_words(report)}")
        return TagFrozen(tag.name, tag.state, tag.fingerprint, tag.lsn, report)


def _is_ours(client: Client, tag: str) -> bool:
    """Say whether the open proposal to freeze a tag is this task's: it can only wait."""
    found = client.tag(tag).freeze
    return found is not None and found.proposed_by == client.whoami().subject


def _frozen_before(client: Client, tag: str) -> TagFrozen:
    """Return the newest freeze in a tag's history; fail for good if there is none."""
    for act in client.history(tag):
        if act.act == "tag.frozen":
            return TagFrozen(tag, "frozen", act.about["fingerprint"], act.lsn, report=None)
    raise AirflowFailException(
        f"{tag} was frozen by an earlier try, and made anew since: nothing in its history says as "
        "what; clear this task to freeze it as it is now"
    )


class UnfreezeTagOperator(CondstoreOperator):
    """Open a frozen tag again, for a `reason` that its history keeps; return its state."""

    template_fields: Sequence[str] = (*CondstoreOperator.template_fields, "tag", "reason")

    def __init__(self, *, tag: str, reason: str, **kwargs: Arguments) -> None:
        super().__init__(**kwargs)
        self.tag = tag
        self.reason = reason

    def act(self, store: Store, context: Context) -> str:
        """Unfreeze it; an unlocked tag stays unlocked, and what others froze since stays frozen."""
        key = key_of(context, self.tag, self.reason)
        state = store.client().unfreeze_tag(self.tag, reason=self.reason, key=key).state
        if state == "frozen":
            self.log.warning("%s was opened by an earlier try, and frozen since", self.tag)
        return state


class CloneTagOperator(CondstoreOperator):
    """Make the unlocked tag `name` with the content of `source`; return its name.

    What an earlier try cloned is the clone, whatever became of either tag since. So is any tag of
    that name with the same content; with other content it is not, and the task fails for good.
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
        key = key_of(context, self.source, self.name, self.description)
        try:
            return client.clone_tag(
                self.source, self.name, description=self.description, key=key
            ).name
        except Conflict as conflict:
            found = client.diff(self.source, self.name, limit=1)
            if found.changes or self.name == self.source.partition("@")[0]:
                raise AirflowFailException(
                    f"{self.name} exists and has not the content of {self.source}: choose another "
                    f"name, or look at `condstore tag diff {self.source} {self.name}`"
                ) from conflict
        self.log.info("%s has the content of %s already", self.name, self.source)
        return self.name
