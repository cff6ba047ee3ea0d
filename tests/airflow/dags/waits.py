"""The three sensors, each waiting in the triggerer."""

from airflow.sdk import dag

from condstore.airflow import sensors

SOON = {"poke_interval": 1, "timeout": 240}


@dag(schedule="@once")
def waits():
    """Wait for the buffer, for a freeze, for a run range."""
    sensors.BufferFilledSensor(task_id="buffer", at_least=5000, **SOON)
    sensors.TagFrozenSensor(task_id="frozen", tag="{{ dag.dag_id }}", **SOON)
    sensors.TagCoversSensor(
        task_id="covers", tag="{{ dag.dag_id }}", begin=100, end="200:5", **SOON
    )


waits()
