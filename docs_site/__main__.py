"""Build the site: `python -m docs_site`, which `scripts/docs` calls. A warning ends it with 1."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from docs_site.llms import llms_text
from docs_site.pages import CONFIG, ROOT, SITE, STAGE, navigation, stage_pages
from docs_site.reference import reference_page


def build() -> int:
    """Stage the pages, let Zensical build them, and put the Markdown beside; 0 when all is well."""
    shutil.rmtree(STAGE, ignore_errors=True)
    STAGE.mkdir(parents=True)
    stage_pages(STAGE)
    (STAGE / "reference.md").write_text(reference_page(), encoding="utf-8")
    shutil.rmtree(SITE, ignore_errors=True)
    program = Path(sys.executable).with_name("zensical")
    command = [str(program), "build", "--clean", "--strict", "--config-file", str(CONFIG)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
        return 1
    for page in STAGE.glob("*.md"):
        shutil.copy(page, SITE / page.name)
    (SITE / "llms.txt").write_text(llms_text(navigation()), encoding="utf-8")
    print(f"{SITE / 'index.html'}: {len(navigation())} pages")
    return 0


if __name__ == "__main__":
    sys.exit(build())
