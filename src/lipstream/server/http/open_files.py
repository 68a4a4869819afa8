"""The number of files, sockets included, that this process may have open."""

from __future__ import annotations

import contextlib

from lipstream.errors import LipstreamError
from lipstream.server.http.http_protocol import RESERVED

OTHER_FILES = 400  # than connections: libraries, viewers' sockets, uploads, child processes
MAX_OPEN_FILES = 65_536  # more is not asked for


def raise_open_files(max_connections: int) -> None:
    """Raise the soft limit as far as the hard one allows. LipstreamError when that is too low for
    so many TCP connections beside all else that is open."""
    try:
        import resource
    except ImportError:  # on Windows sockets are no files
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = max_connections + RESERVED + OTHER_FILES
    for wanted in (MAX_OPEN_FILES, hard, needed):  # a system may refuse what its hard limit allows
        if resource.RLIM_INFINITY not in (soft, wanted) and soft < wanted:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, MAX_OPEN_FILES), hard))
                soft = min(wanted, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < needed:
        raise LipstreamError(
            f"only {soft} files may be open at once, and {max_connections} connections need "
            f"{needed}; raise it (`ulimit -n {needed}`) or lower --max-connections."
        )
