"""`python -m databuffer`: run `serving`, and heed SIGTERM and Ctrl-C from the first moment on.

The kernel drops a signal that the first process of a container does not handle, and what there is
to import takes a third of a second: whoever stopped the container then would wait, and kill it.
Ctrl-C would show where in the imports it came.
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> int:
    """Serve; give the exit status."""
    for told in (signal.SIGTERM, signal.SIGINT):
        signal.signal(told, lambda *_: os._exit(0))  # nothing is begun yet
    from databuffer import serving  # noqa: PLC0415 - as above

    return serving.main()


if __name__ == "__main__":
    sys.exit(main())
