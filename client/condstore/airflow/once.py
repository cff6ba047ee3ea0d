"""One act of a task, however often the task is tried: an idempotency key that all its tries share.

A try that is killed after the store acted leaves nothing behind in Airflow. The next one asks under
the same key, and the store answers without acting again, whatever others did in between. Who clears
a task wants it done anew: that is another key, and so is the same DAG run in another Airflow.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Context

    from condstore.results import Json


def key_of(context: Context, *asked: Json) -> str | None:
    """Return the key of what a task asks; None where no Airflow runs it, and each act is its own.

    Other arguments are another act: a DAG that was mended between two tries is heeded.
    """
    if "ti" not in context:
        return None
    ti, run = context["ti"], context["dag_run"]
    cleared = ti.max_tries  # grows when a person clears the task, and by no retry
    task = (ti.dag_id, ti.run_id, str(run.start_date), ti.task_id, ti.map_index, cleared)
    seed = json.dumps((*task, *asked), sort_keys=True, default=str)
    return f"airflow-{hashlib.sha256(seed.encode()).hexdigest()}"
