"""What is to be pulled: frozen content, a range, payload types; refused before anything is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from condstore.bundle.about import PROVEN, TOLD, About
from condstore.errors import NotFound, NotProven, UsageError
from condstore.moments import Moment, interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from condstore.bundle.told import Told
    from condstore.moments import When
    from condstore.results import TagContent


def wanted(
    client: Told,
    ref: str,
    span: tuple[When | None, When | None],
    payload_types: Sequence[str],
    *,
    prove: bool,
    payloads: str,
) -> About:
    """Return what a bundle of `ref` is to be.

    Raises:
        NotFound: no such tag, or it has no such payload type.
        NotProven: the server answers with another content than was asked for.
        UsageError: it is not frozen, or the range is empty.
    """
    begin, end = _range(span)
    content = _frozen(client, ref)
    held = tuple(each.payload_type for each in content.payload_lists)
    about = About(
        content=content,
        lsn=_lsn(client, content, begin),
        begin=begin,
        end=end,
        pulled=_chosen(content, held, payload_types),
        proof=PROVEN,
        payloads=payloads,
    )
    return about if prove or about.whole else about.proven(TOLD)


def _range(span: tuple[When | None, When | None]) -> tuple[Moment, Moment | None]:
    first, last = (None if when is None else Moment.of(when) for when in span)
    begin = first or Moment(0)
    if last is not None and last <= begin:
        raise UsageError(f"nothing lies in {interval(begin, last)}: end must follow begin")
    return begin, last


def _frozen(client: Told, ref: str) -> TagContent:
    """Return what was frozen, asked for by its fingerprint."""
    tag = client.tag(ref).tag
    if tag.state != "frozen" or tag.fingerprint is None:
        raise UsageError(
            f"{ref} is {tag.state}, and only frozen content can be pulled, for it never changes: "
            f"freeze the tag (`condstore tag freeze {tag.name}`), or clone it and freeze the clone"
        )
    name, _, asked = ref.partition("@")
    if len(asked) == len(tag.fingerprint) and asked != tag.fingerprint:
        raise NotProven(f"asked for {ref}, the server answers with {tag.name}@{tag.fingerprint}")
    pinned = f"{name}@{tag.fingerprint}"
    content = client.tag(pinned)
    if content.tag.reference != pinned:
        raise NotProven(f"asked for {pinned}, the server answers with {content.tag.reference}")
    return content


def _lsn(client: Told, content: TagContent, at: Moment) -> int:
    """Return the ledger position that answers about this content name."""
    (found,) = client.resolve_many(content.tag.reference, [at])
    return found.lsn


def _chosen(
    content: TagContent, held: tuple[str, ...], payload_types: Sequence[str]
) -> tuple[str, ...]:
    for kind in payload_types:
        if kind not in held:
            raise NotFound(
                f"there is no payload type {kind} in global tag {content.tag.reference}; it has "
                f"{', '.join(held) or 'none'}",
                status=404,
            )
    return tuple(kind for kind in held if not payload_types or kind in payload_types)
