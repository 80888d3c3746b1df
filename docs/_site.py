"""Hooks of mkdocs: pages of the repository that lie outside ``docs/`` join the site.

The same Markdown reads well in the repository and on the site, so nothing is written twice. README.md
is the first page. Links are relative to each file's place in the repository; here they get
the place that their target has on the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.zh-CN.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
PAGES += [
    "weights/README.md",
    *(
        str(page.relative_to(ROOT))
        for folder in ("benchmarks", "tools")
        for page in sorted(ROOT.glob(f"{folder}/**/README.md"))
    ),
    *(str(card.relative_to(ROOT)) for card in ROOT.glob("weights/*/MODEL_CARD.md")),
]
# Where a file of the repository is on the site.
MOVED = {"README.md": "index.md"} | {name: name for name in PAGES}
HOME = {there: here for here, there in MOVED.items()}
# What the theme's plugin "offline" loads from the network, of all things.
SHIM = re.compile(r'<script src="https://[^"]*iframe-worker[^"]*"></script>')
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside ``docs/``."""
    for here, there in MOVED.items():
        files.append(File.generated(config, there, content=(ROOT / here).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite relative links from the repository's layout to the site's."""
    there = page.file.src_uri
    here = HOME.get(there, f"docs/{there}")

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(here), link[1]))
        if (ROOT / target).is_dir() and (ROOT / target / "README.md").is_file():
            target = f"{target}/README.md"
        elif (ROOT / target / "MODEL_CARD.md").is_file():
            target = f"{target}/MODEL_CARD.md"
        place = MOVED.get(target, target.removeprefix("docs/"))
        return posixpath.relpath(place, posixpath.dirname(there) or ".")

    return LINK.sub(moved, markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Let search work from disk without a network: our stand-in for a worker instead of a remote one."""
    local = posixpath.relpath("site_search.js", posixpath.dirname(page.file.dest_uri) or ".")
    return SHIM.sub(f'<script src="{local}"></script>', output)
