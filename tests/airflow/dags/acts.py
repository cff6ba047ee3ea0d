"""Every operator once; each first try is killed after it has done its work, then tried again."""

import os
import signal
from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag

from condstore.airflow import operators

FOLDER = Path(os.environ["ACTS_FOLDER"])


def killed(context, result):
    """Die as a task does when its node fails, the first time."""
    if context["ti"].try_number == 1:
        os.kill(os.getpid(), signal.SIGKILL)


@dag(
    schedule="@once",
    default_args={"retries": 1, "retry_delay": timedelta(0), "post_execute": killed},
)
def acts():
    """Insert, put, freeze, clone and freeze the clone, pull, unfreeze; stream."""
    insert = operators.InsertIOVOperator(
        task_id="insert",
        tag="acts",
        iovs=[{"payload_type": "Beam", "start": [at, 0], "name": f"beam-{at}"} for at in (1, 5)],
    )
    put = operators.StreamFilesOperator(
        task_id="put",
        tag="acts",
        files=[{"file": str(FOLDER / "field.bin"), "payload_type": "Field", "start": 1}],
    )
    freeze = operators.FreezeTagOperator(task_id="freeze", tag="{{ dag.dag_id }}")
    clone = operators.CloneTagOperator(task_id="clone", source=freeze.output, name="acts-2")
    pull = operators.PullBundleOperator(
        task_id="pull", ref=freeze.output, path=str(FOLDER / "acts.cdb"), payloads=False
    )
    unfreeze = operators.UnfreezeTagOperator(task_id="unfreeze", tag="acts", reason="tested")
    operators.StreamFilesOperator(task_id="stream", files=str(FOLDER / "acts" / "*.json"))
    mapped = operators.FreezeTagOperator.partial(task_id="mapped").expand(tag=["acts-2"])
    [insert, put] >> freeze >> [clone, pull] >> unfreeze
    clone >> mapped


acts()
