#!/usr/bin/env python3
"""Stops one thread of a process, and no other, until the process is gone.

    wedge.py TID

Says "stopped" when it is. A thread that a tracer has stopped (ptrace(2)) hangs
as one does that waits for a lock for ever, whatever the program is.
"""

import ctypes
import os
import sys

PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207
WALL = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, tid):
    if libc.ptrace(request, tid, None, None) != 0:
        sys.exit(f"ptrace: {os.strerror(ctypes.get_errno())}")


def main(tid):
    ptrace(PTRACE_SEIZE, tid)
    ptrace(PTRACE_INTERRUPT, tid)
    _, status = os.waitpid(tid, WALL)
    if not os.WIFSTOPPED(status):
        sys.exit("it ended")
    print("stopped", flush=True)
    # Its end is told to us first; whoever started it waits for that.
    while os.WIFSTOPPED(status):
        _, status = os.waitpid(tid, WALL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
