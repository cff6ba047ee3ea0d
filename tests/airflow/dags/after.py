"""What follows each freeze, whatever the tag: a DAG scheduled on the alias."""

from airflow.sdk import AssetAlias, dag, task


@dag(schedule=[AssetAlias("condstore-frozen")])
def after():
    """Take the reference from the event that started the run."""

    @task
    def references(triggering_asset_events=None):
        """Return each `TAG@fingerprint`, which the asset and its alias tell alike."""
        return sorted(
            {
                event.extra["reference"]
                for events in triggering_asset_events.values()
                for event in events
            }
        )

    references()


after()
