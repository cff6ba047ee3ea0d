"""All laws, of all three packages."""

import fuzz.laws_access
import fuzz.laws_client
import fuzz.laws_databuffer
import fuzz.laws_logic
import fuzz.laws_requests
from fuzz.law import LAWS

__all__ = ["LAWS", "fuzz"]
