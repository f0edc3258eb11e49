"""Measured tables in docs/sources.md, each between its own two marks."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "sources.md"


def replace_section(name: str, text: str, page: Path = PAGE) -> None:
    """Put generated text where the page has `<!-- name -->` and `<!-- end of name -->`.

    Raises:
        ValueError: the page has no such marks.
    """
    before = page.read_text()
    pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end of {re.escape(name)} -->)", re.DOTALL)
    after, count = pattern.subn(lambda marks: f"{marks[1]}{text}\n{marks[2]}", before)
    if count != 1:
        raise ValueError(f"{page} has {count} sections {name!r}; it needs one, between its two marks")
    page.write_text(after)
