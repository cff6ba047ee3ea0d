"""A number for each process of a pod, so that each writes only its own place in a file they share.

A process holds its number by a lock on one byte, so the kernel frees it however the process ends.
"""

from __future__ import annotations

import fcntl


def claim(descriptor: int, slots: int) -> int:
    """Take a number below `slots` that no living process has, for as long as the file is open.

    Where all are taken, the last one: whoever comes too late shares it.
    """
    for slot in range(slots - 1):
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, slot)
        except OSError:
            continue
        return slot
    return slots - 1
