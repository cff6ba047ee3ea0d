"""Offline bundles: frozen content in one file, which answers like the servers and without them.

Reading one takes the standard library only. docs/bundles.md says what is proven, and how.
"""

from condstore.bundle.kept import Described, Verified, describe, verify
from condstore.bundle.offline import Bundle
from condstore.bundle.pull import pull
from condstore.bundle.told import Progress, Pulled

__all__ = ["Bundle", "Described", "Progress", "Pulled", "Verified", "describe", "pull", "verify"]
