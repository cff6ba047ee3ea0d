"""Immutable answers as bytes and back: JSON with the wire's own fields, so the wire's reader reads.

What no longer fits (another version wrote it) is `UnexpectedAnswer`, and then asked for again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from condstore.errors import UnexpectedAnswer
from condstore.results import HeldList, Resolution, Tag, TagContent
from condstore.results.parsing import parse, several

if TYPE_CHECKING:
    from condstore.results import Json

_FROM = "the cache"


def encoded(answer: Resolution | TagContent) -> bytes:
    """Return the answer as JSON; moments become `[major, minor]`.

    Raises:
        UnexpectedAnswer: it has a number of more than 64 bits, which no server of ours tells.
    """
    try:
        return orjson.dumps(answer, default=list)
    except TypeError as error:
        raise UnexpectedAnswer(f"an answer cannot be kept ({error})") from error


def resolution(body: bytes) -> Resolution:
    """Read a resolution back."""
    return parse(lambda text: Resolution.read(orjson.loads(text)), body, _FROM)


def tag_content(body: bytes) -> TagContent:
    """Read a tag and its payload lists back."""
    return parse(lambda text: _tag_content(orjson.loads(text)), body, _FROM)


def _tag_content(answer: Json) -> TagContent:
    return TagContent(Tag.read(answer["tag"]), several(HeldList.read, answer["payload_lists"]))
