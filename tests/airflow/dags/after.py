"""What follows each freeze, whatever the tag: a DAG scheduled on the alias."""

from airflow.sdk import AssetAlias, dag, task


@dag(schedule=[AssetAlias("condstore-frozen")])
def after():
    """Take the reference from the event that started the run."""

    @task
    def reference(triggering_asset_events=None):
        """Return `TAG@fingerprint`."""
        found = {
            event.extra["reference"]  # told by the asset and by its alias
            for events in triggering_asset_events.values()
            for event in events
        }
        (reference,) = found
        return reference

    reference()


after()
