"""condstore in Airflow 3: a connection, a hook, operators, deferrable sensors, asset events.

    from condstore.airflow.operators import FreezeTagOperator
    from condstore.airflow.sensors import TagCoversSensor

Every task may be tried again after it succeeded: it finds its work done and succeeds again.
Installed with `condstore[airflow]`; nothing else of condstore imports it.
"""
