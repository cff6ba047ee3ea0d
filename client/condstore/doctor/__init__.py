"""What a person needs to know at 3 a.m.: is it this machine, the network, or the servers?

Asks and looks, writes nothing, and never raises because of what it finds: that is a finding, and
each that is not good says what to do. `servers` asks the logic tier at each URL, `who` for whom it
takes who asks, `store` the databuffer, `here` looks at this machine; `asking` is one question over
HTTP, `told` its answer.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from condstore.doctor import here, servers, store, who
from condstore.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from condstore.config import Settings

__all__ = ["Finding", "examine"]


def examine(settings: Settings, environ: Mapping[str, str] | None = None) -> tuple[Finding, ...]:
    """Return what was found, the servers first; takes some seconds a server that is silent."""
    known = os.environ if environ is None else environ
    logic, wrong = who.usable(settings.access, "token")
    buffer_access, wrong_secret = who.usable(settings.buffer_access, "tier secret")
    with ThreadPoolExecutor(len(settings.urls) + 1) as pool:
        buffer = pool.submit(store.look, settings.buffer_url, buffer_access)
        replicas = tuple(pool.map(partial(servers.look, access=logic), settings.urls))
    return (
        *(one for replica in replicas for one in store.of_replica(replica, buffer.result())),
        *servers.together(replicas),
        *(wrong or who.findings(replicas, logic, time.time())),
        *store.findings(buffer.result(), replicas),
        *(finding for finding in wrong_secret if finding not in wrong),
        *here.findings(settings, known),
    )
