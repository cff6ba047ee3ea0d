"""Old files of the view are told from new ones."""

import hashlib
import re
from importlib import resources

from datastore_logic.view.database import SCHEMA_VERSION

KNOWN = (9, "e4d0b540f913eabc")
"""The version, and the schema that it is of, but for comments and white space."""


def test_another_schema_has_another_version():
    """Who changes schema.sql raises SCHEMA_VERSION, so that no pod reads its old file as a new one.

    Then both stand here anew.
    """
    schema = (resources.files("datastore_logic.view") / "schema.sql").read_text()
    bare = " ".join(re.sub(r"--.*", "", schema).split())
    assert (SCHEMA_VERSION, hashlib.sha256(bare.encode()).hexdigest()[:16]) == KNOWN
