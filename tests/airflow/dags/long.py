"""One task that streams for a while, for a test to kill it meanwhile."""

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag

from condstore.airflow import operators


@dag(schedule="@once", dag_id="long")
def long_one():
    """Stream a long file, one segment after the other."""
    operators.StreamFilesOperator(
        task_id="stream",
        files=str(Path(os.environ["ACTS_FOLDER"], "long", "*.json")),
        in_flight=1,
        retries=1,
        retry_delay=timedelta(0),
    )


long_one()
