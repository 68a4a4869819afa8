"""The options of `lipstream serve` for avatars that users upload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lipstream.cli.options.option import number, option, path_option, with_options

UPLOAD_OPTIONS = (
    path_option(
        "--data",
        metavar="DIR",
        help="The folder that keeps uploads, or copies of --store's; default a temporary one.",
    ),
    option(
        "--store",
        metavar="DIR|URL",
        help="Where servers share uploads: a folder, or a bucket such as s3://bucket/avatars.",
    ),
    number(
        "--upload-ttl",
        "Uploads that nobody uses for so long are deleted; 0: never.",
        30,
        0,
        name="upload_ttl_days",
        unit="DAYS",
    ),
    option(
        "--share-uploads",
        is_flag=True,
        help="Show uploads to everybody; default only to the browser that sent them.",
    ),
    number("--upload-limit", "The largest file that may be uploaded.", 64, 1, 4096, unit="MIB"),
    number("--max-avatars", "The largest number of uploaded avatars.", 32, 0),
    number("--avatar-space", "The space of all uploaded avatars together.", 1024, 1, unit="MIB"),
    number("--max-side", "Larger pictures are shrunk.", 768, 64, 4096, unit="PIXELS"),
)


def upload_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say where uploads are kept, for how long, and how many and how large."""
    return with_options(command, UPLOAD_OPTIONS)
