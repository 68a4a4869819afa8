"""Receives files from users, which a child process opens, never the server itself."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import os
import re
import shutil
import signal
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from lipstream.config import Progress
from lipstream.errors import disk_is_full
from lipstream.server.avatars.file_types import HEAD_BYTES, FileType, claimed_types, detect_types
from lipstream.server.avatars.sandbox import DecodeJob
from lipstream.server.errors import DISK_FULL, ApiError

MAX_FIELDS = 8
MAX_FIELD_BYTES = 4096
COPY_BYTES = 1 << 20
EXIT_S = 2.0  # from a child's last message to its end
STATUS = {"too_large": 413, "unusable": 400, "no_face": 400, "internal": 500, "disk_full": 507}
# The signals by which the system ends a process at the limits that the child has set itself.
STOPPED = (signal.SIGKILL, signal.SIGXCPU) if hasattr(signal, "SIGXCPU") else ()
GARBLED = "the decoder of this file failed; export it again in another format."
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
# Isolated from the current folder and from variables, which uploads or users may have named.
BOOT = (
    "import json, os, sys; hasattr(os, 'nice') and os.nice(10); "  # live sessions go first
    "sys.path[:] = json.loads(sys.argv[1]); "
    "from lipstream.server.avatars.sandbox import main; sys.exit(main(sys.argv[2]))"
)
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

log = logging.getLogger("lipstream.server")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with a request, in a temporary folder."""

    path: Path
    fields: dict[str, str]

    @property
    def folder(self) -> Path:
        return self.path.parent

    def discard(self) -> None:
        """Have the folder and all in it removed."""
        _remove_in_thread(self.folder)


async def receive_file(
    request: Request, types: tuple[FileType, ...], unless: str | None = None
) -> Upload:
    """The part `file` of a multipart request, and its text fields. ApiError 415 when it has none
    of `types` or not the one it claims, 422 when it is missing, 507 when no space is left. With a
    field `unless` it may be anything."""
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        raise ApiError(415, "send multipart/form-data with the file in the part `file`.")
    try:
        form = request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)
        async with form as parts:
            file = parts.get("file")
            if not isinstance(file, UploadFile):
                raise ApiError(422, "the part `file` is missing or holds no file.")
            fields = {name: value for name, value in parts.items() if isinstance(value, str)}
            return Upload(await _store(file, None if unless in fields else types), fields)
    except MultiPartException as error:
        raise ApiError(400, f"the multipart body is damaged: {error.message}") from error
    except OSError as error:
        if not disk_is_full(error):
            raise
        raise ApiError(507, DISK_FULL) from error


async def _store(file: UploadFile, types: tuple[FileType, ...] | None) -> Path:
    name = safe_name(file.filename or "")
    head = await file.read(HEAD_BYTES)
    if not head:
        raise ApiError(422, f"{name} is empty; choose another file.")
    if types is not None:
        _check_type(name, head, types, file.content_type)
    await file.seek(0)
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="lipstream-"))
    path = folder / name
    try:
        await asyncio.to_thread(_copy, file, path)
    except BaseException:
        _remove_in_thread(folder)
        raise
    return path


def _remove_in_thread(folder: Path) -> None:
    """Have the folder and all in it removed, by a thread: disks may be slow."""
    remove = functools.partial(shutil.rmtree, folder, ignore_errors=True)
    asyncio.get_running_loop().run_in_executor(None, remove)


def _check_type(
    name: str, head: bytes, types: tuple[FileType, ...], content_type: str | None
) -> None:
    found = detect_types(head)
    if not set(found) & set(types):
        raise ApiError(415, f"{name} is no {' or '.join(types)} file that can be read.")
    claimed = claimed_types(name, content_type)
    # A video's sound may be spoken, and an audio file may come in a video's container.
    if claimed and not claimed & set(found):
        raise ApiError(415, f"{name} is not what its name or type says; send it as what it is.")


def _copy(file: UploadFile, path: Path) -> None:
    with path.open("xb") as target:
        shutil.copyfileobj(file.file, target, COPY_BYTES)


def safe_name(name: str) -> str:
    """A plain file name like the one given, for sentences and for the disk."""
    plain = UNSAFE.sub("_", name.replace("\\", "/").rpartition("/")[2]).lstrip("._-")
    stem, dot, suffix = plain.rpartition(".")
    return (stem[:60] + dot + suffix[:8]) if stem else (plain[:60] or "upload")


async def run_isolated(job: DecodeJob, folder: Path, progress: Progress | None = None) -> Any:
    """Do `job` in `folder` by a child process and return its result. Cancelling ends the child.

    ApiError 413 or 400 with its own sentence, 400 too when it is killed by a limit or crashes, and
    500 for a bug, which is logged.
    """
    # Without the secrets among the variables of this process.
    variables = {k: text for k, text in os.environ.items() if not k.startswith("LIPSTREAM_")}
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-c",
        BOOT,
        json.dumps([path for path in sys.path if os.path.isabs(path)]),
        json.dumps(asdict(job)),
        cwd=folder,
        env=variables | ONE_THREAD,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        outcome = await asyncio.wait_for(_outcome(child, progress), job.limits.wall_s)
    except asyncio.TimeoutError:
        raise ApiError(
            400, f"{job.source} takes too long to read; send a smaller file.", "unusable"
        ) from None
    finally:
        await _reap(child)
    if "done" in outcome:
        return outcome["done"]
    if "trace" in outcome:
        log.error("bug in decoding", extra={"file": job.source, "trace": str(outcome["trace"])})
    code, message = outcome.get("error", ("unusable", _crash(job.source, child.returncode)))
    raise ApiError(STATUS.get(code, 400), str(message), str(code))


def _crash(source: str, code: int | None) -> str:
    """The sentence for a child that ended without a word, by its exit code."""
    if code is not None and -code in STOPPED:
        return (
            f"{source} cannot be read within the limits of time and memory; send a smaller file "
            "or export it again."
        )
    reason = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
    return (
        f"{source} makes its decoder crash ({reason}); export it again in another format, "
        "or send a smaller file."
    )


async def _outcome(child: asyncio.subprocess.Process, progress: Progress | None) -> dict[str, Any]:
    """The child's last message; empty when it died without one."""
    assert child.stdout is not None
    last: dict[str, Any] = {}
    try:
        async for line in child.stdout:
            message = json.loads(line)
            if "progress" not in message:
                last = message
            elif progress is not None:
                progress(*message["progress"])
    except ValueError:  # not JSON; and not worth waiting for more
        return {"error": ["unusable", GARBLED]}
    return last


async def _reap(child: asyncio.subprocess.Process) -> None:
    """Wait for the end of the child, which is killed unless it is about to exit."""
    assert child.stdout is not None
    if child.stdout.at_eof():
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(child.wait(), EXIT_S)
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
    await child.wait()
