"""The three sensors, each waiting in the triggerer."""

from datetime import timedelta

from airflow.sdk import dag

from condstore.airflow import sensors

# A trigger may fire before the scheduler has heard from its executor that the task was put off;
# then Airflow fails that try ("finished with state success, but … is queued"). The next one looks
# first, and succeeds. Nobody is so impatient but a test.
TRIES = {"retries": 3, "retry_delay": timedelta(seconds=1)}
SOON = {"poke_interval": 1, "timeout": 240, **TRIES}


@dag(schedule="@once")
def waits():
    """Wait for the buffer, for a freeze, for a run range."""
    sensors.BufferFilledSensor(task_id="buffer", at_least=5000, **SOON)
    sensors.TagFrozenSensor(task_id="frozen", tag="{{ dag.dag_id }}", **SOON)
    sensors.TagCoversSensor(
        task_id="covers", tag="{{ dag.dag_id }}", begin=100, end="200:5", **SOON
    )


waits()
