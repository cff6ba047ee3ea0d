"""Who makes the request being answered, and what they see of what there is.

Set once a request, by the web layer; nothing is set in threads that answer nobody, such as the one
that follows the ledger: they see everything.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from datastore_logic.errors import Forbidden, NotEverywhere, NotFound, Unauthenticated

if TYPE_CHECKING:
    from datastore_logic.access.roles import Principal, Role
    from datastore_logic.access.sight import Sight


@dataclass(frozen=True, slots=True)
class Right:
    """What a principal asks to do: it needs `role` on every tag it touches."""

    principal: Principal
    role: Role
    sight: Sight | None = None

    @property
    def subject(self) -> str | None:
        """The name that has been proven, None where none has."""
        return self.principal.proven

    def refuse_to_make(self, tag: str) -> None:
        """Do nothing where the role is given on a tag that is to be made.

        Raises:
            Forbidden: it is not, whether or not there is such a tag.
        """
        if not self.principal.may(self.role, tag):
            raise Forbidden(self.role, tag)

    def refuse_unless_everywhere(self) -> None:
        """Do nothing where the role is given on every tag there is or will be.

        Raises:
            NotEverywhere: it is not.
        """
        if not self.principal.may_everywhere(self.role):
            raise NotEverywhere(self.role)

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


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what for; without a principal nobody in particular, who only reads.

    `sight` is None where everything may be seen.
    """

    principal: Principal | None = None
    role: Role | None = None
    sight: Sight | None = None

    @property
    def subject(self) -> str | None:
        """The name that has been proven, None where none has."""
        return None if self.principal is None else self.principal.proven

    def refuse_unless_anywhere(self) -> None:
        """Do nothing for who has the role that is needed on some tag, or where none is needed.

        Raises:
            Forbidden: they have it on no tag at all.
        """
        if self.role is None or self.principal is None:
            return
        if not self.principal.may(self.role):
            raise Forbidden(self.role)

    @property
    def right(self) -> Right:
        """What is asked to be done, and by whom.

        Raises:
            Unauthenticated: by nobody, or nothing: the route changes nothing.
        """
        if self.principal is None or self.role is None:
            raise Unauthenticated
        return Right(self.principal, self.role, self.sight)


CALLER: Final[ContextVar[Caller | None]] = ContextVar("caller", default=None)


def caller() -> Caller:
    """Return who makes the request that is being answered.

    Raises:
        LookupError: none is; nothing is allowed by having forgotten to ask.
    """
    found = CALLER.get()
    if found is None:
        raise LookupError("no request is being answered")
    return found


def subject() -> str | None:
    """Return the name that the caller has proven, None where none has or nobody asks."""
    found = CALLER.get()
    return None if found is None else found.subject


def sight() -> Sight | None:
    """Return what the caller may see, None for everything."""
    found = CALLER.get()
    return None if found is None else found.sight


def sees(tag: str) -> bool:
    """Return whether the caller may see a tag of this name, whether there is one or not."""
    seen_by = sight()
    return seen_by is None or seen_by(tag)
