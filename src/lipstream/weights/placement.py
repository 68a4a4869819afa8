"""Files that were put into the models folder by hand, compared with the published ones.

MuseTalk 1.0 and 1.5 have the same tensors, so that a network takes either file: only its size tells
them apart. A file that is none of the published ones may be a user's own and is described, not
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lipstream.config import Progress
from lipstream.errors import CheckpointError
from lipstream.weights.catalogue import Bundle, WeightFile
from lipstream.weights.manifest import Manifest, sha256_of


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """A file of the bundle that exists and was not pulled."""

    file: WeightFile
    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def describe(self, progress: Progress) -> str:
        """A phrase for the user, after the file was read where its hash is known."""
        published = self.file.published
        if published is None:
            return "put there by hand, no hash is known"
        if self.size != published.size:
            return (
                "put there by hand, not the published file but one of your own, of examples/tiny, "
                f"or cut short ({self.size} bytes, not {published.size})"
            )
        if published.sha256 is None:
            return "put there by hand, of the published size; its hash is not known"
        sha256 = sha256_of(self.path, progress)
        if sha256 != published.sha256:
            return (
                "put there by hand, of the published size but damaged or another network (its "
                f"SHA-256 is {sha256[:12]}..., not {published.sha256[:12]}...)"
            )
        return "as it was published"


def find_placed(bundle: Bundle, folder: Path) -> list[PlacedFile]:
    """Every file that lipstream finds in the folder and has no record of."""
    recorded = Manifest.load(folder).files
    return [
        PlacedFile(file, path)
        for file in (*bundle.files, *bundle.placed_files)
        if file.target not in recorded and (path := folder / file.target).is_file()
    ]


def check_places(bundle: Bundle, folder: Path) -> None:
    """CheckpointError for weights that are, by their size, the published ones of another place.

    Configs are read whatever they are. Reads no weights.
    """
    for placed in find_placed(bundle, folder):
        published = placed.file.published
        if published is None or placed.size == published.size or placed.path.suffix == ".json":
            continue
        for other in (*bundle.files, *bundle.placed_files):
            if other.published is not None and other.published.size == placed.size:
                raise CheckpointError(
                    f"{placed.path} has the {placed.size} bytes of {other.target} ({other.part}), "
                    f"not those of {placed.file.part}: move it there or delete it, and run "
                    f"'lipstream models pull {bundle.name}'."
                )


def describe_placed(
    bundle: Bundle,
    folder: Path,
    new_bar: Callable[[str], Progress] = lambda label: lambda done, total: None,
) -> Iterator[tuple[Path, str]]:
    """The path and the description of every file that was not pulled."""
    for placed in find_placed(bundle, folder):
        yield placed.path, placed.describe(new_bar(f"checking {placed.file.target}"))
