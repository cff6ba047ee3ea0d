"""A route of the v1 API: where it is, who answers, and which query parameters it knows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from flask import Response, request

from datastore_logic.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Blueprint

    from datastore_logic.services.tier import Tier


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. `query` are the parameters of its URL, in any order."""

    method: str
    path: str
    handler: Callable[..., Response]
    query: tuple[str, ...] = ()

    def add_to(self, routes: Blueprint, tier: Tier) -> None:
        """Let the blueprint answer it."""
        answer = partial(_answer, self, tier)
        name = self.handler.__name__
        routes.add_url_rule(self.path, name, answer, methods=[self.method])


def _answer(route: Route, tier: Tier, /, **parts: str) -> Response:
    """Call the handler, unless the URL asks what it does not know.

    A misspelt parameter must not mean nothing: `?asof=17` would answer what holds today.
    """
    for name, values in request.args.lists():
        if name not in route.query:
            known = ", ".join(sorted(route.query)) or "none"
            raise BadRequest(f"{name[:60]}: is no parameter here; known: {known}", field=name[:60])
        if len(values) > 1:
            raise BadRequest(f"{name}: is given more than once", field=name)
    return route.handler(tier, **parts)
