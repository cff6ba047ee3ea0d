"""What counting costs a request of the logic tier: `python -m benchmarks.metrics`.

Alone in a process, in the files that a pod's workers share; the least of many short rounds, so that
what else the machine does is left out.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS, CALLS = 200, 300


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        view = Path(folder) / "view.sqlite"
        shared = Path(f"{view}.metrics")
        shared.mkdir()
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(shared)
        for what, call in _calls(view).items():
            print(f"{what}: {_least(call):.1f} µs")


def _calls(view: Path) -> dict[str, Callable[[], None]]:
    from datastore_logic.config import Config  # noqa: PLC0415 - it reads the variable set above
    from datastore_logic.web.metrics import Metrics, share_as  # noqa: PLC0415
    from datastore_logic.web.resolved import Resolved  # noqa: PLC0415

    share_as(0)
    metrics = Metrics(Config(view_path=view))
    rule = SimpleNamespace(rule="/api/v1/global-tags/<tag>/payloads")
    request: Any = SimpleNamespace(url_rule=rule, method="GET")
    response: Any = SimpleNamespace(status_code=200)
    resolved = Resolved("v1", "prompt")

    def resolution() -> None:
        metrics.looked_up("prepared", hit=True)
        metrics.looked_up("slices", hit=True)
        metrics.observe(request, response, 0.002, resolved)

    def other() -> None:
        metrics.observe(request, response, 0.002, None)

    return {"a resolution": resolution, "any other request": other}


def _least(call: Callable[[], None]) -> float:
    """Return the µs of a call in the fastest round."""

    def one_round() -> float:
        began = perf_counter()
        for _ in range(CALLS):
            call()
        return (perf_counter() - began) / CALLS

    return 1e6 * min(one_round() for _ in range(ROUNDS))


if __name__ == "__main__":
    main()
