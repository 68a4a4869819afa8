"""Objects in a bucket, or in any other place that the library fsspec opens by its address."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lipstream.errors import MissingError, OptionError
from lipstream.installation import install_command

CONNECT_S, READ_S = 3, 8  # of one request to S3; a store's own deadlines are longer
S3 = ("s3", "s3a")
# The errors by which S3 and its like say that a key exists, where s3fs has no error of its own.
TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "412")


class FsspecObjects:
    """The objects of an address such as `s3://bucket/avatars`. Keys and passwords come from the
    environment, as each library reads them."""

    def __init__(self, url: str) -> None:
        """MissingError without the library, OptionError for an address that it does not know."""
        if find_spec("fsspec") is None:
            raise MissingError(f"--store {url} needs fsspec; run `{install_command('store')}`.")
        from fsspec.core import url_to_fs

        scheme = url.partition("://")[0]
        try:
            self._files, self._root = url_to_fs(url, **_options(scheme))
        except ImportError as error:
            raise MissingError(
                f"--store {url}: {error}; run `{install_command('store')}` for s3://, or install "
                "the package that it names."
            ) from error
        except ValueError as error:
            raise OptionError(f"--store {url} cannot be opened: {error}.") from error
        self._root = self._root.rstrip("/")

    def open(self) -> None:
        """Do nothing: a bucket has no folders, and is made by its owner."""

    def list(self, folder: str = "") -> Mapping[str, str]:
        """All keys, or those below `folder`, with all that the place says of each."""
        self._files.invalidate_cache()
        found = self._files.find(self._path(folder), detail=True)
        start = len(self._root) + 1
        return {name[start:]: repr(sorted(info.items())) for name, info in found.items()}

    def read(self, key: str) -> bytes:
        """The content; FileNotFoundError."""
        content: bytes = self._files.cat_file(self._path(key))
        return content

    def write(self, key: str, content: bytes, first: bool = False) -> None:
        """Write the content, whole at once. With `first` FileExistsError when the key exists, also
        when two write it at once where the place can tell: S3 and GCS can."""
        mode = "create" if first else "overwrite"
        try:
            self._files.pipe_file(self._path(key), content, mode=mode)
        except OSError as error:
            if first and _code(error) in TAKEN:
                raise FileExistsError(key) from error
            raise

    def upload(self, key: str, file: Path) -> None:
        """Write a copy of `file`, whole at once."""
        self._files.put_file(str(file), self._path(key))

    def download(self, key: str, target: Path) -> None:
        """Copy the content into the new file `target`; FileNotFoundError."""
        self._files.get_file(self._path(key), str(target))

    def path(self, key: str) -> Path | None:
        """None: nothing of it is a file of this machine."""
        return None

    def remove(self, key: str) -> None:
        """Remove the content. Does nothing for an unknown key."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(key))

    def free_bytes(self) -> int | None:
        """None: a bucket has no end."""
        return None

    def close(self) -> None:
        """Do nothing: connections end with the process."""

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}".rstrip("/")


def _options(scheme: str) -> dict[str, Any]:
    """The options of a file system: nothing of it is remembered, and S3 answers in time."""
    options: dict[str, Any] = {"use_listings_cache": False}
    if scheme in S3:
        config = {"connect_timeout": CONNECT_S, "read_timeout": READ_S}
        options["config_kwargs"] = {**config, "retries": {"max_attempts": 1}}
    return options


def _code(error: BaseException | None) -> str:
    """The word of S3 for an error, which stands in the error of its library."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
        error = error.__cause__
    return ""
