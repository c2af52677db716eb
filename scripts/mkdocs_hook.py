"""What the site shows otherwise than the pages do where they lie, as a hook of MkDocs."""

import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"(?<!!)\[([^\]\n]+)\]\((\.\.?/[^)#\s]+)(?:#[^)\s]*)?\)")
_MARK = re.compile(r"^<!-- \[\[\[.*\]\]\] -->\n", re.MULTILINE)


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """*markdown* without the marks around what is generated, and without links to what is no page:
    the path in the repository stands for those.
    """
    root = Path(config.docs_dir).resolve().parent
    here = Path(page.file.abs_src_path).parent

    def unlinked(link: re.Match[str]) -> str:
        target = (here / link[2]).resolve()
        if target.is_relative_to(config.docs_dir):
            return link[0]
        return f"{link[1]} (`{target.relative_to(root)}`)"

    return _LINK.sub(unlinked, _MARK.sub("", markdown))
