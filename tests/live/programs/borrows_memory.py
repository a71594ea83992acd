"""A parent whose child runs in its memory, as between vfork and exec, but for as long as a test needs.

The child sleeps in pause(2) on a stack of its own inside that memory.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time

CLONE_VM, CLONE_VFORK = 0x100, 0x4000


def main() -> None:
    """Print the parent's pid, then clone a child that shares all memory and sleeps in pause(2)."""
    data = [bytearray(4096) for _ in range(5000)]
    libc = ctypes.CDLL(None, use_errno=True)
    stack = ctypes.create_string_buffer(1 << 16)
    top = ctypes.c_void_p(ctypes.addressof(stack) + (1 << 16) - 64)
    child = libc.clone(ctypes.cast(libc.pause, ctypes.c_void_p), top, CLONE_VM | signal.SIGCHLD, None)
    if child < 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    print("READY", json.dumps({"pid": os.getpid(), "child": child, "bytes": len(data) * 4096}), flush=True)
    signal.signal(signal.SIGTERM, lambda *_: (os.kill(child, signal.SIGKILL), os._exit(0)))
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
