"""Make Great Expectations' Data Docs readable without the web.

As shipped, every page loads Bootstrap, jQuery, icons and a logo from six hosts; offline it is unstyled text, and online it tells
those hosts who looked. We drop every outside reference and give the pages a stylesheet of our own.
"""

import html
import re
from pathlib import Path

OUTSIDE = (
    re.compile(r"<script[^>]*\ssrc=[\"']https?://[^>]*>\s*</script>", re.IGNORECASE),
    re.compile(r"<link[^>]*\shref=[\"']https?://[^>]*/?>", re.IGNORECASE),
    re.compile(r"<img[^>]*\ssrc=[\"']https?://[^>]*/?>", re.IGNORECASE),
    re.compile(r"background(?:-image)?:\s*url\([\"']?https?://[^;]*;", re.IGNORECASE),
    # The newsletter form and the inline scripts that call what is no longer loaded.
    re.compile(r"<iframe.*?</iframe>", re.IGNORECASE | re.DOTALL),
    re.compile(r"<script(?![^>]*\ssrc=)[^>]*>.*?</script>", re.IGNORECASE | re.DOTALL),
)
# What a page says when every expectation held.
SUCCEEDED = "Succeeded"
STYLE = """<style data-offline="1">
body { font: 14px/1.5 system-ui, sans-serif; color: #1c2430; margin: 0 auto; max-width: 1200px; padding: 1rem; }
a { color: #175cd3; text-decoration: none; } a:hover { text-decoration: underline; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
th, td { border-bottom: 1px solid #e4e7ec; padding: .35rem .6rem; text-align: left; vertical-align: top; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; } [class*="col-"] { flex: 1 1 0; min-width: 16rem; }
.col-12, .col-md-12, .col-lg-12 { flex-basis: 100%; }
.badge { border: 1px solid #d0d5dd; border-radius: 4px; padding: 0 .3rem; background: #f2f4f7; }
.alert { border-radius: 6px; padding: .5rem .8rem; } .alert-success, .text-success { color: #067647; }
.alert-danger, .text-danger { color: #b42318; } .alert-warning, .text-warning { color: #b54708; }
.fa-check-circle::before { content: "✔"; } .fa-times::before { content: "✘"; } .fa-exclamation-triangle::before { content: "⚠"; }
.breadcrumb { display: flex; gap: .5rem; list-style: none; padding: 0; } .breadcrumb li + li::before { content: "/ "; }
.nav { list-style: none; padding: 0; } .modal, .popover, .dropdown-menu { display: none; }
.card, .container-fluid { margin-bottom: 1rem; } img { max-height: 40px; }
footer, .fixed-bottom { display: none; }
</style></head>"""


def strip_outside(page: str) -> str:
    """One page without any reference that a browser would fetch from another host."""
    if 'data-offline="1"' in page:
        return page
    for pattern in OUTSIDE:
        page = pattern.sub("", page)
    return page.replace("</head>", STYLE, 1)


def latest_validations(docs: Path) -> list[tuple[str, Path, bool]]:
    """Suite, page and verdict of each suite's newest validation, by suite."""
    newest: dict[str, Path] = {}
    # validations/<suite>/<run name>/<run time>/<batch>.html; a suite's name is split at its dots, run times sort as text.
    for page in sorted((docs / "validations").rglob("*.html"), key=lambda path: path.parent.name):
        newest[".".join(page.relative_to(docs / "validations").parts[:-3])] = page
    return [(suite, page, SUCCEEDED in page.read_text(encoding="utf-8")) for suite, page in sorted(newest.items())]


def index_page(docs: Path) -> str:
    """A plain list of suites: the index as shipped fills its tables with scripts from the web, and is empty without them."""
    rows = []
    for suite, page, passed in latest_validations(docs):
        history = docs / "validations" / Path(*suite.split("."))
        count = sum(1 for _ in history.rglob("*.html"))
        verdict = '<span class="text-success">passed</span>' if passed else '<span class="text-danger">failed</span>'
        expectations = Path("expectations", *suite.split(".")).with_suffix(".html")
        rows.append(
            f'<tr><td><a href="{page.relative_to(docs)}">{html.escape(suite)}</a></td><td>{verdict}</td>'
            f'<td>{page.parent.name}</td><td>{count}</td><td><a href="{expectations}">expectations</a></td></tr>'
        )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Data Docs</title></head><body><h1>Data Docs</h1>'
        "<p>The newest validation of every suite.</p><table><thead><tr><th>suite</th><th>verdict</th><th>validated</th>"
        f"<th>validations kept</th><th></th></tr></thead><tbody>{''.join(rows)}</tbody></table></body></html>"
    ).replace("</head>", STYLE, 1)


def make_offline(docs: Path) -> None:
    """Rewrite every page under the folder; a page already rewritten stays."""
    for path in docs.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        stripped = strip_outside(page)
        if stripped != page:
            path.write_text(stripped, encoding="utf-8")
    (docs / "index.html").write_text(index_page(docs), encoding="utf-8")
