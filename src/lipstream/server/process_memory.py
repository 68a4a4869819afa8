"""Python's collector and the system's allocator, set for a process that runs for weeks."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import sys

MAX_ARENAS = 2
ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h
OWN_SETTING = "MALLOC_ARENA_MAX"  # a variable of glibc; whoever sets it knows better


def limit_arenas() -> None:
    """Have all threads share `MAX_ARENAS` heaps; does nothing but with glibc.

    By itself glibc gives eight for each core, and each keeps what its thread once needed. To be
    called before there are threads.
    """
    if sys.platform != "linux" or OWN_SETTING in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other libraries have no arenas
        mallopt(ARENA_MAX, MAX_ARENAS)


def set_startup_aside() -> None:
    """Have the collector not look at what exists now: modules, routes, settings.

    Those are some 100,000 objects. To look through them takes up to 100 ms in which no thread runs,
    and whoever makes much garbage has it done every few seconds.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # libraries complain of objects that are left at the very end
