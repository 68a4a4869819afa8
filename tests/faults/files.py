"""Faults of what opens and keeps files of others: uploads, avatars, writers that are killed."""

from __future__ import annotations

from tests.faults.fault import Fault, Promise

DECODERS = "server/avatars/decoders.py"
UPLOADS = "server/avatars/uploads.py"
SANDBOX = "server/avatars/sandbox.py"
REGISTRY = "server/avatars/registry.py"
ARCHIVE = "avatar/archive.py"
STORAGE = "avatar/storage.py"
OUTPUT = "media/output_path.py"
TEST_DECODERS = "server/avatars/test_decoders.py"
TEST_ARCHIVE = "avatar/test_archive.py"
TEST_STORAGE = "avatar/test_storage.py"
TEST_OUTPUT = "media/test_output_path.py"
FORGED = f"{TEST_ARCHIVE}::test_forged_entries_are_reported_in_one_sentence"

OPENING = Promise(
    "uploads",
    "few files are opened at once, behind live sessions",
    (
        Fault(
            "each file is opened at once",
            DECODERS,
            "asyncio.Semaphore(min(cores, MAX_PROCESSES))",
            "asyncio.Semaphore(100)",
            (
                f"{TEST_DECODERS}::test_no_more_processes_than_places",
                "server/test_upload_while_live.py"
                "::test_sixteen_uploads_at_once_cost_a_viewer_no_more_frames_than_none",
            ),
        ),
        Fault(
            "any number of files is in hand",
            DECODERS,
            "if self._files >= MAX_FILES:",
            "if False:",
            (f"{TEST_DECODERS}::test_a_file_too_many_is_refused_before_it_is_read",),
        ),
        Fault(
            "a place is asked for when the body was read",
            "server/api/avatars.py",
            "        with decoders.place():\n"
            "            await registry.check_room()\n"
            "            return (await registry.add("
            'await receive_file(request, ("image", "video")))).info()\n',
            '        received = await receive_file(request, ("image", "video"))\n'
            "        with decoders.place():\n"
            "            await registry.check_room()\n"
            "            return (await registry.add(received)).info()\n",
            (f"{TEST_DECODERS}::test_a_file_too_many_is_refused_before_it_is_read",),
        ),
        Fault(
            "a file waits for its turn for ever",
            DECODERS,
            "await asyncio.wait_for(self._processes.acquire(), patience_s)",
            "await asyncio.wait_for(self._processes.acquire(), None)",
            (f"{TEST_DECODERS}::test_nobody_waits_for_a_process_for_ever",),
        ),
        Fault(
            "the processes are as nice as the server",
            UPLOADS,
            "\"import json, os, sys; hasattr(os, 'nice') and os.nice(10); \"",
            '"import json, os, sys; "',
            (f"{TEST_DECODERS}::test_the_process_gives_way_to_live_sessions",),
        ),
        Fault(
            "each process may have the memory of the largest",
            SANDBOX,
            "memory = limits.avatar_memory if avatar else limits.memory",
            "memory = limits.avatar_memory",
            (f"{TEST_DECODERS}::test_the_processes_together_have_a_bound_of_memory",),
        ),
    ),
)

AVATARS = Promise(
    "avatars",
    "a hostile avatar is refused in a sentence, and cannot keep the server from starting",
    (
        Fault(
            "a pipe is opened, and waited for",
            "media/input_path.py",
            "if path.exists() and not (path.is_file() or path.is_dir()):",
            "if False:",
            (f"{TEST_STORAGE}::test_what_is_no_file_is_refused",),
        ),
        Fault(
            "compressed entries are unpacked",
            ARCHIVE,
            "if not stored or len(self._sizes) != len(found)",
            "if len(self._sizes) != len(found)",
            (f"{TEST_ARCHIVE}::test_what_is_compressed_is_refused_before_it_is_read",),
        ),
        Fault(
            "entries may share their bytes",
            ARCHIVE,
            " or sum(self._sizes.values()) > size:",
            ":",
            (f"{TEST_ARCHIVE}::test_entries_that_share_their_bytes_are_refused",),
        ),
        Fault(
            "a manifest may have any size",
            ARCHIVE,
            "if not 0 < self._sizes.get(MANIFEST, 0) <= MAX_MANIFEST:",
            "if not 0 < self._sizes.get(MANIFEST, 0):",
            (f"{TEST_ARCHIVE}::test_a_manifest_has_a_bound",),
        ),
        Fault(
            "an entry may be larger than the manifest says",
            ARCHIVE,
            'if self._sizes[name] != entry["size"]:',
            "if False:",
            (FORGED,),
        ),
        Fault(
            "the head of an array is read by hope",
            ARCHIVE,
            "ARRAY_DAMAGE = (ValueError, TypeError, SyntaxError, tokenize.TokenError, "
            "RecursionError)",
            "ARRAY_DAMAGE = (ValueError,)",
            (FORGED,),
        ),
        Fault(
            "a manifest of any depth is parsed",
            ARCHIVE,
            "except (ValueError, RecursionError) as error:",
            "except ValueError as error:",
            (FORGED,),
        ),
        Fault(
            "landmarks may be no face",
            STORAGE,
            "if landmarks is not None and not is_face(landmarks, (report.width, report.height)):",
            "if False:",
            (FORGED,),
        ),
        Fault(
            "a frame may have any size",
            STORAGE,
            "and 0 < report.width * report.height <= MAX_PIXELS",
            "",
            (FORGED,),
        ),
        Fault(
            "what was kept and is damaged stops the start",
            REGISTRY,
            "except Exception as error:  # one bad avatar must not keep",
            "except OSError as error:  # one bad avatar must not keep",
            (
                "server/avatars/test_registry.py::test_a_damaged_upload_is_shown_with_its_reason",
                "server/avatars/test_registry.py"
                "::test_a_kept_avatar_whose_preparation_fails_keeps_nothing_from_starting",
            ),
        ),
    ),
)

KILLS = Promise(
    "kills",
    "a killed writer leaves the old file, and stops no other",
    (
        Fault(
            "all writers of a folder use one name",
            OUTPUT,
            'target.with_name(f".lipstream-{uuid.uuid4().hex[:16]}.part")',
            'target.with_name(".lipstream-new.part")',
            (
                f"{TEST_OUTPUT}::test_a_killed_writer_leaves_the_old_file_and_never_stops_the_next",
                f"{TEST_STORAGE}::test_writers_of_one_path_do_not_wait_for_each_other",
            ),
        ),
        Fault(
            "the old file is removed first",
            OUTPUT,
            "    part = part_of(target)\n",
            "    part = part_of(target)\n    target.unlink(missing_ok=True)\n",
            (f"{TEST_OUTPUT}::test_a_killed_writer_leaves_the_old_file_and_never_stops_the_next",),
        ),
        Fault(
            "what killed writers left stays",
            OUTPUT,
            "if time.time() - left.stat().st_mtime > STALE_S:",
            "if False:",
            (f"{TEST_OUTPUT}::test_what_a_killed_writer_left_is_removed_a_day_later",),
        ),
    ),
)

PROMISES = (OPENING, AVATARS, KILLS)
