"""Who makes the request being answered, and what they see of what there is.

Set once a request, by the web layer; nothing is set in threads that answer nobody, such as the one
that follows the ledger: they see everything.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from datastore_logic.errors import Forbidden, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from datastore_logic.access.roles import Principal, Role

    Sight = Callable[[str], bool]
    """Whether a tag of this name is to be seen."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for what; without a principal nobody in particular, who only reads.

    `sight` is None where everything may be seen.
    """

    principal: Principal | None
    sight: Sight | None = None


CALLER: Final[ContextVar[Caller | None]] = ContextVar("caller", default=None)


def sight() -> Sight | None:
    """Return what the caller may see, None for everything."""
    caller = CALLER.get()
    return None if caller is None else caller.sight


@dataclass(frozen=True, slots=True)
class Right:
    """What a principal asks to do: it needs `role` on every tag it touches."""

    principal: Principal
    role: Role
    sight: Sight | None = None

    def refuse_unless_on(self, tag: str) -> None:
        """Do nothing where the role is given on the tag.

        Raises:
            Forbidden: it is not.
            NotFound: it is not, and the tag is none that the caller may know of: the answer is that
                of a tag which is not there.
        """
        if self.principal.may(self.role, tag):
            return
        if self.sight is not None and not self.sight(tag):
            raise NotFound("tag", tag)
        raise Forbidden(self.role, tag)
