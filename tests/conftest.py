"""What holds for every test."""

import os
import sys

from hypothesis import settings

# Hundreds of processes are started: what the first compiled the others find, as where users are.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# How long one example takes says more about what else the machine does than about the code.
settings.register_profile("condstore", deadline=None)
settings.load_profile("condstore")
