"""Threads share few heaps, and what exists at the start costs no collection any more."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys

import pytest

from lipstream.server.process_memory import MAX_ARENAS, OWN_SETTING, set_startup_aside

GLIBC = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_info")
# Eight threads have memory at the same time; malloc_info(3) then lists the heaps.
PROGRAM = """
import ctypes, threading
from lipstream.server.process_memory import limit_arenas

limit_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fdopen.restype = ctypes.c_void_p
together = threading.Barrier(8)

def work():
    libc.malloc(ctypes.c_size_t(50_000))
    together.wait()

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


@pytest.mark.skipif(not GLIBC, reason="heaps of glibc")
@pytest.mark.parametrize(("own", "heaps"), [(None, MAX_ARENAS), ("5", 5)])
def test_threads_share_two_heaps_unless_the_user_says_otherwise(
    own: str | None, heaps: int
) -> None:
    variables = {name: text for name, text in os.environ.items() if name != OWN_SETTING}
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    if own is not None:
        variables[OWN_SETTING] = own
    listed = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=variables, capture_output=True, text=True, check=True
    )
    assert listed.stdout.count("<heap nr=") == heaps


def test_a_collection_does_not_look_at_what_was_there_at_the_start() -> None:
    old = [[] for _ in range(1000)]  # type: list[list[object]]
    set_startup_aside()
    looked_at = {id(one) for one in gc.get_objects()}
    assert not looked_at & set(map(id, old))
    new: list[object] = [[]]
    assert any(one is new for one in gc.get_objects())
