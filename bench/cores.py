"""Which cores the proxies and the two ends run on.

The proxies get two cores. Where the machine has four or more, the ends keep
off those two; on less, all share, which makes times longer but leaves CPU
time per request what it is.
"""

import contextlib
import os

ALL = sorted(os.sched_getaffinity(0))
PROXIES = ALL[:2]
ENDS = ALL[2:] if len(ALL) >= 4 else ALL


@contextlib.contextmanager
def on(cores):
    """What is started inside inherits these cores."""
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, ALL)
