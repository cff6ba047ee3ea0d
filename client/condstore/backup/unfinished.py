"""`unfinished.json`: there while a backup is being taken, and after one that was killed.

Beside the files that `backup.json` names there may then be others, which may not be whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from condstore import landing
from condstore.errors import DamagedBackup

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "unfinished.json"


def begin(directory: Path, ledger: str) -> None:
    """Say durably that a backup of this ledger is being taken."""
    with landing.published(directory / NAME) as file:
        file.write(orjson.dumps({"ledger": ledger}))


def end(directory: Path) -> None:
    """Take that back."""
    (directory / NAME).unlink(missing_ok=True)
    landing.sync_directory(directory)


def is_in(directory: Path) -> bool:
    """Say whether it is there, whatever it says."""
    return (directory / NAME).exists()


def begun(directory: Path) -> str:
    """Return the id of the ledger of which an unfinished backup is here, "" if none is.

    Raises `DamagedBackup` if it does not say.
    """
    try:
        return str(orjson.loads((directory / NAME).read_bytes())["ledger"])
    except FileNotFoundError:
        return ""
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedBackup(
            f"{directory / NAME} is damaged ({error}): `condstore admin backup {directory} "
            "--repair` makes it again"
        ) from error
