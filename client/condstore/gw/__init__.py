"""The GW producer: strain around an event, streamed into the twin's datastore, resumable.

`python -m condstore.gw [FILE ...]` is the whole of it. Where it reads from is `opendata` (the open
data of the detectors, over the network) or `recording` (local files); where it stood is `position`
(`lastrd.txt`); how it posts is `sending`; `run` puts them together, `config` is the environment.
"""
