"""Backups of a store that runs, in directories; restoring and verifying them needs no server.

`backup` takes all that is new up to the head it sees at its start; `verify` reads every byte of a
backup again; `repair` fetches what is damaged in one from the store, after `remake` has made again
what says what belongs to it; `restore` makes a volume of it, as of an LSN or a time, under a new
ledger id.

A backup is laid out as a volume is (`layout`), with `backup.json` beside, which says what belongs
to it (`record`). Nothing that it names is ever written again, so one that is killed in the middle
leaves the backup before it as it was.
"""

from condstore.backup.record import Record
from condstore.backup.remaking import remake
from condstore.backup.repairing import Repaired, repair
from condstore.backup.restoring import Restored, restore
from condstore.backup.taking import Taken, backup
from condstore.backup.until import Until
from condstore.backup.verifying import Checked, verify

__all__ = [
    "Checked",
    "Record",
    "Repaired",
    "Restored",
    "Taken",
    "Until",
    "backup",
    "remake",
    "repair",
    "restore",
    "verify",
]
