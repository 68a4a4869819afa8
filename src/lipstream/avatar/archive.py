"""The zip archive of a prepared avatar, read only as far as its directory and manifest allow."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import struct
import tokenize
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lipstream.errors import ArchiveError

FORMAT, VERSION = "lipstream avatar", 2  # version 1 was a folder
MANIFEST = "manifest.json"
KINDS = "biufU"  # numpy's letters of the types that are kept
MAX_DIRECTORY = 8 << 20  # bytes; a real one has about 70 per frame
MAX_MANIFEST = 16 << 20  # bytes; a real one has about 150 per frame
MAGIC = b"PK\3\4"
END = struct.Struct("<4s4H2LH")  # the end of a zip archive without a comment
AGAIN = "prepare the avatar again with 'lipstream prepare'"
ZIP_DAMAGE = (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, struct.error)
ARRAY_DAMAGE = (ValueError, TypeError, SyntaxError, tokenize.TokenError, RecursionError)


class Archive:
    """The entries of an open .avatar file; no read is larger than the directory announced."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        if file.read(len(MAGIC)) != MAGIC:
            raise ArchiveError(
                f"{path} is not a prepared avatar; give a picture, a clip or a file made by "
                "'lipstream prepare'."
            )
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - END.size))
        end = file.read()
        if len(end) < END.size or not end.startswith(b"PK\5\6"):
            raise ArchiveError(f"{path} is cut short; {AGAIN} or copy it again.")
        length, start = END.unpack(end)[5:7]
        # The archive fills the file, and its directory is not larger than one of ours.
        if length > MAX_DIRECTORY or start + length + END.size != size:
            raise self.damaged("its directory")
        try:
            self._zip = zipfile.ZipFile(file)
        except ZIP_DAMAGE as error:
            raise self.damaged("its directory") from error
        found = self._zip.infolist()
        self._sizes = {info.filename: info.file_size for info in found}
        stored = all(
            (info.compress_type, info.flag_bits, info.compress_size)
            == (zipfile.ZIP_STORED, 0, info.file_size)
            for info in found
        )
        if not stored or len(self._sizes) != len(found) or sum(self._sizes.values()) > size:
            raise self.damaged("its directory")
        self.manifest = self._read_manifest()

    def _read_manifest(self) -> dict[str, Any]:
        if not 0 < self._sizes.get(MANIFEST, 0) <= MAX_MANIFEST:
            raise self.damaged(MANIFEST)
        try:
            manifest = json.loads(self._content(MANIFEST))
            if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
                raise ValueError("format")
        except (ValueError, RecursionError) as error:
            raise self.damaged(MANIFEST) from error
        if manifest.get("version") != VERSION:
            raise ArchiveError(
                f"{self._path} was prepared by another version of lipstream (format "
                f"{manifest.get('version')}, this one reads {VERSION}): {AGAIN}."
            )
        return manifest

    def check_entries(self, entries: dict[str, dict[str, Any]]) -> None:
        """The archive holds exactly these entries, of these sizes, besides the manifest."""
        for name, entry in entries.items():
            if name not in self._sizes:
                raise ArchiveError(f"{self._path} is damaged: {name} is missing; {AGAIN}.")
            if self._sizes[name] != entry["size"]:
                raise self.damaged(name)
        if len(self._sizes) != len(entries) + 1 or MANIFEST in entries:
            raise self.damaged("its directory")

    def read(self, name: str) -> bytes:
        """The content of an entry, which is what the manifest says."""
        content = self._content(name)
        if hashlib.sha256(content).hexdigest() != self.manifest["entries"][name].get("sha256"):
            raise self.damaged(name)
        return content

    def array(self, name: str) -> NDArray[Any]:
        """An array, read-only; its type and shape fit the entry's size."""
        content = self.read(name)
        header = io.BytesIO(content)
        try:
            if np.lib.format.read_magic(header) != (1, 0):
                raise ValueError("version")
            shape, by_columns, dtype = np.lib.format.read_array_header_1_0(header)
            start = header.tell()
            length = math.prod(shape) * dtype.itemsize
            if dtype.kind not in KINDS or not dtype.itemsize or length != len(content) - start:
                raise ValueError("size")
            flat = np.frombuffer(content, dtype, offset=start)
            return flat.reshape(shape, order="F" if by_columns else "C")
        except ARRAY_DAMAGE as error:
            raise self.damaged(name) from error

    def _content(self, name: str) -> bytes:
        try:
            return self._zip.read(name)
        except ZIP_DAMAGE as error:
            raise self.damaged(name) from error

    def damaged(self, name: str) -> ArchiveError:
        return ArchiveError(f"{self._path} is damaged: {name} is not as it was saved; {AGAIN}.")
