"""The part of `Client` for the store as a whole: what an operator asks of it."""

from __future__ import annotations

from typing import Final

from condstore.asking import Asking
from condstore.calls import V1, Call
from condstore.results import Checkpoint

PATIENCE: Final = 1800.0
"""Seconds that a server may be silent while it copies its whole view."""


class Keeping(Asking):
    """Keep the store fit to run."""

    def make_checkpoint(self) -> Checkpoint:
        """Have a replica keep its view at the databuffer, for new replicas to begin with.

        It takes seconds for each million payload IOVs. Where the newest checkpoint is as new as the
        view, nothing is made, and that one is returned.

        Raises:
            Denied: it takes an admin of all tags.
            Conflict: the replica is making one already (`busy`).
        """
        server = self._server("making a checkpoint")
        call = Call("POST", f"{V1}/checkpoint", silent=PATIENCE)
        return server.get(Checkpoint.read, call)
