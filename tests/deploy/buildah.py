"""Images without a daemon or a registry: buildah, and a base that debootstrap makes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

BASE = "localhost/lipstream-test-base"
TOOLS = ("buildah", "debootstrap")
PACKAGES = "python3,python3-venv,ca-certificates"
BUILD_TIMEOUT_S = 1200


def missing_tools() -> list[str]:
    """The programs that this machine lacks."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


class Buildah:
    """A store of images in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        store = ["--root", str(folder / "root"), "--runroot", str(folder / "run")]
        self._command = ["buildah", "--storage-driver", "vfs", *store]

    def __call__(self, *arguments: str, timeout_s: float = 60) -> str:
        """Run one command to its end and return what it printed."""
        done = subprocess.run(
            [*self._command, *arguments], capture_output=True, text=True, timeout=timeout_s
        )
        assert done.returncode == 0, f"buildah {arguments[0]}: {done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def make_base(self) -> None:
        """Debian with Python, as the official Python images are."""
        system, context = self._folder / "system", self._folder / "base"
        strap = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm"]
        subprocess.run([*strap, str(system)], check=True, stdout=subprocess.DEVNULL)
        context.mkdir()
        tar = ["tar", "-C", str(system), "-cf", str(context / "base.tar"), "."]
        subprocess.run(tar, check=True)
        shutil.rmtree(system)
        (context / "Dockerfile").write_text("FROM scratch\nADD base.tar /\n")
        self("bud", "--isolation", "chroot", "-q", "-t", BASE, str(context), timeout_s=300)

    def build(self, source: Path, tag: str) -> None:
        """Build SOURCE/Dockerfile on the base, with pip set up as it is on this machine."""
        volumes = [part for volume in self._pip_volumes() for part in ("-v", volume)]
        isolation = ["--isolation", "chroot", "--format", "docker", "-q"]
        base = ["--build-arg", f"BASE={BASE}", "-t", tag, str(source)]
        self("bud", *isolation, *volumes, *base, timeout_s=BUILD_TIMEOUT_S)

    @contextmanager
    def running(
        self, image: str, settings: Sequence[str], command: Sequence[str]
    ) -> Iterator[subprocess.Popen[str]]:
        """A container of `image` in this machine's network, as the image's own user."""
        container = self("from", image)
        given = [part for setting in settings for part in ("--env", setting)]
        run = [*self._command, "run", "--isolation", "chroot", *given, container, "--", *command]
        with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.terminate()
                process.wait(60)
                self("rm", container)

    def _pip_volumes(self) -> list[str]:
        """This machine's settings of pip, and the folders that they name."""
        listed = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True
        )
        settings, folders = dict[str, str](), set[Path]()
        for line in listed.stdout.splitlines():
            name, _, value = line.partition("=")
            settings[name.rpartition(".")[2]] = value.strip("'")
        for value in settings.values():
            paths = [Path(word.removeprefix("file://")) for word in value.split()]
            # An index in a folder has its packages beside it.
            folders |= {
                path.parent if path.name == "simple" else path for path in paths if path.exists()
            }
        config = self._folder / "pip.conf"
        lines = [f"{name} = {value}" for name, value in settings.items()]
        config.write_text("\n".join(["[global]", *lines, ""]))
        mounted = sorted(str(folder) for folder in folders if folder.is_absolute())
        return [f"{config}:/etc/pip.conf:ro", *(f"{folder}:{folder}:ro" for folder in mounted)]
