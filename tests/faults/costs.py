"""Faults of what others can make this machine spend: pictures, disks, settings."""

from __future__ import annotations

from tests.faults.fault import Fault, Promise

UPLOADS = "server/avatars/uploads.py"
SANDBOX = "server/avatars/sandbox.py"
REGISTRY = "server/avatars/registry.py"
ENTRY = "server/avatars/entry.py"
PICTURE = "avatar/picture.py"
TEST_DISKS = "server/avatars/test_full_disks.py"
TEST_LARGE = "cli/test_large_pictures.py"

PICTURES = Promise(
    "pictures",
    "a small file cannot cost much time or memory",
    (
        Fault(
            "a JPEG may have any number of scans",
            PICTURE,
            "            if picture.format in JPEG:\n",
            "            if False:\n",
            (f"{TEST_LARGE}::test_a_jpeg_of_a_thousand_scans_is_refused",),
        ),
        Fault(
            "a picture may have any number of pixels",
            PICTURE,
            "if size[0] * size[1] > config.max_pixels:",
            "if False:",
            (f"{TEST_LARGE}::test_a_larger_one_is_refused_unless_it_is_allowed",),
        ),
        Fault(
            "sixteen bits become eight all at once",
            "media/pictures/picture_file.py",
            "STRIP_ROWS = 64",
            "STRIP_ROWS = 1 << 20",
            (f"{TEST_LARGE}::test_the_largest_picture_fits",),
        ),
        Fault(
            "a picture may take the time of a clip",
            SANDBOX,
            "        _limit_cpu(limits.picture_cpu_s)\n",
            "        pass\n",
            ("server/avatars/test_sandbox.py::test_a_picture_may_take_less_time_than_a_clip",),
        ),
    ),
)

DISKS = Promise(
    "disks",
    "a full disk is told in a sentence, and no answer names a folder of the server",
    (
        Fault(
            "a disk that fills up while a form is received is a bug",
            UPLOADS,
            "        if not disk_is_full(error):\n",
            "        if True:\n",
            (
                f"{TEST_DISKS}::test_while_a_form_is_received",
                f"{TEST_DISKS}::test_while_it_is_stored",
            ),
        ),
        Fault(
            "a disk that fills up while a file is decoded is a bug",
            SANDBOX,
            "    if disk_is_full(error):\n",
            "    if False:\n",
            (f"{TEST_DISKS}::test_while_a_file_is_decoded",),
        ),
        Fault(
            "a body is read although there is no space",
            REGISTRY,
            "if free is not None and free < MIN_FREE_BYTES:",
            "if False:",
            (f"{TEST_DISKS}::test_before_it_is_sent",),
        ),
        Fault(
            "the system's error is told as it is",
            ENTRY,
            'words = (error.strerror or "an error of the file system").lower()',
            "words = str(error)",
            (f"{TEST_DISKS}::test_an_avatar_that_cannot_be_kept_says_why_and_not_where",),
        ),
        Fault(
            "our own error is told with its folder",
            ENTRY,
            "self.reason = without_folders(str(error), *known)",
            "self.reason = str(error)",
            (
                f"{TEST_DISKS}::test_an_avatar_that_cannot_be_kept_says_why_and_not_where",
                f"{TEST_DISKS}::test_a_kept_avatar_that_is_damaged_does_not_say_where_it_is",
            ),
        ),
    ),
)

SETTINGS = Promise(
    "settings",
    "files of settings and configs of networks are refused in a sentence",
    (
        Fault(
            "lists of any depth are parsed",
            "cli/options/settings.py",
            "except (RecursionError, ValueError) as error:",
            "except ValueError as error:",
            ("cli/options/test_usage.py::test_a_wrong_file_of_settings_is_refused",),
        ),
        Fault(
            "a number of any size is believed",
            "cli/options/settings.py",
            "except (RecursionError, ValueError) as error:",
            "except RecursionError as error:",
            ("cli/options/test_usage.py::test_a_wrong_file_of_settings_is_refused",),
        ),
        Fault(
            "a network may have any number of channels",
            "rendering/musetalk/models/config_reader.py",
            "and 0 < value <= MAX_COUNT",
            "and 0 < value",
            ("rendering/musetalk/models/test_vae.py",),
        ),
    ),
)

PROMISES = (PICTURES, DISKS, SETTINGS)
