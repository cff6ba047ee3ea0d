"""A local cache of payloads named by digest, and of answers that never change.

Safe for many processes of one node, verified on use, limited in size, and never the reason for
which a job fails: what the directory cannot do is done without it. What each part promises:

cache.py      one directory, and how its bytes are shared out
folder.py     private, reached by descriptors; locks
payloads.py   files named by digest, verified when they are opened
seals.py      what "verified" means
downloads.py  one downloads for all
room.py       the limit, kept among processes
answers.py    what holds at a moment, found by the moment
base.py       the SQLite file they are in, which may be thrown away
recent.py     the same in this process's memory
codec.py      answers as bytes
cached.py     the `Source` made of all this
troubles.py   a directory that fails
counts.py     what was done, and what is there
"""

from __future__ import annotations

from condstore.cache.cache import Cache
from condstore.cache.cached import Cached
from condstore.cache.counts import Done, Statistics

__all__ = ["Cache", "Cached", "Done", "Statistics"]
