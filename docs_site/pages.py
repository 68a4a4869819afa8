"""The pages of the site, and their links: in the repository they lead to files, here to pages."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "zensical.toml"
STAGE, SITE = ROOT / "build" / "docs", ROOT / "site"
ELSEWHERE = {  # pages that do not lie in docs/: file, and its name on the site
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "examples/README.md": "examples.md",
    "packages/npm/README.md": "npm.md",
    "benchmarks/README.md": "benchmarks.md",
    "training/REPORT.md": "training.md",
    "training/neural/README.md": "small_musetalk.md",
}
FRONT = "README.md"  # the front page of the repository; that of the site is docs/index.md
FENCE = re.compile(r"^ *(```+)", re.MULTILINE)
LINK = re.compile(r"(?<=\]\()([^)#\s]+)(#[^)\s]*)?(?=\))")
CODE = re.compile(r"(`[^`\n]*`)")


def page_names() -> dict[str, str]:
    """The file of each page, from the root of the repository, and its name on the site."""
    own = {f"docs/{path.name}": path.name for path in sorted((ROOT / "docs").glob("*.md"))}
    return own | ELSEWHERE


def navigation() -> dict[str, str]:
    """Title and page, in the order in which the site shows them."""
    config: dict[str, Any] = tomllib.loads(CONFIG.read_text(encoding="utf-8"))
    return {title: page for entry in config["project"]["nav"] for title, page in entry.items()}


def stage_pages(stage: Path) -> None:
    """Write all pages to a folder, with links that hold there, and the files they lead to."""
    names = page_names()
    for source, name in names.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        (stage / name).write_text(_relinked(text, source, names, stage), encoding="utf-8")


def _relinked(text: str, source: str, names: dict[str, str], stage: Path) -> str:
    """The text, whose links outside of code lead to pages of the site, or to copies of files."""

    def link(found: re.Match[str]) -> str:
        target, anchor = found[1], found[2] or ""
        if re.match(r"[a-z]+:", target):
            return found[0]
        path = os.path.normpath(os.path.join(os.path.dirname(source), target))
        if path in names or path == FRONT:
            return names.get(path, "index.md") + anchor
        if not (ROOT / path).is_file() or path.endswith(".md"):
            raise SystemExit(f"docs_site: {source} links to {target}, which is no page or file.")
        copied = Path("files") / path
        (stage / copied).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, stage / copied)
        return copied.as_posix() + anchor

    lines, fence = [], ""
    for line in text.split("\n"):
        mark = FENCE.match(line)
        if mark and (not fence or mark[1] == fence):
            fence = "" if fence else mark[1]
        elif not fence:
            parts = CODE.split(line)
            # Odd parts are code. A link whose text is code is split within its brackets only.
            line = "".join(part if n % 2 else LINK.sub(link, part) for n, part in enumerate(parts))
        lines.append(line)
    return "\n".join(lines)
