"""Elements of an XML document as text, safe whatever the names in them are."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def words(text: str) -> str:
    r"""Return a text as XML's own; what XML cannot carry becomes visible.

    >>> words("a<b & \x00")
    'a&lt;b &amp; �'
    """
    return escape(_NO_XML.sub("\N{REPLACEMENT CHARACTER}", text))


def element(name: str, *inside: str, **attributes: object) -> str:
    """Return an element around ready XML; `_` in an attribute's name stands for `-`.

    >>> element("a", words("<"), stroke_width=2, class_="x")
    '<a stroke-width="2" class="x">&lt;</a>'
    """
    told = "".join(f' {_name(key)}="{words(str(value))}"' for key, value in attributes.items())
    return f"<{name}{told}>{''.join(inside)}</{name}>" if inside else f"<{name}{told}/>"


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def text(said: str, x: float, y: float, class_: str = "", **attributes: object) -> str:
    """Return a line of text at a point."""
    shown = {"x": x, "y": y, **({"class": class_} if class_ else {}), **attributes}
    return element("text", words(said), **shown)


def rect(x: float, y: float, width: float, height: float, class_: str, *inside: str) -> str:
    """Return a rectangle, with a tooltip if it is given one."""
    return element(
        "rect", *inside, **{"x": x, "y": y, "width": width, "height": height, "class": class_}
    )


def tooltip(said: str) -> str:
    """Return what a browser shows over an element, and a screen reader says of it."""
    return element("title", words(said))


def group(parts: Iterable[str], **attributes: object) -> str:
    """Return a group of elements."""
    return element("g", *parts, **attributes)


def shortened(said: str, most: int) -> str:
    """Return a text cut to so many characters.

    >>> shortened("H1:LDAS-STRAIN", 20), shortened("H1:LDAS-STRAIN", 8)
    ('H1:LDAS-STRAIN', 'H1:LDAS…')
    """
    return said if len(said) <= most else said[: most - 1] + "…"
