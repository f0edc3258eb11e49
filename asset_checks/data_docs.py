"""Make Great Expectations' Data Docs readable without the web.

As shipped, every page loads Bootstrap, jQuery, icons and a logo from six hosts; offline it is unstyled text, and online it tells
those hosts who looked. We drop every outside reference and give the pages a stylesheet of our own.
"""

import re
from pathlib import Path

OUTSIDE = (
    re.compile(r"<script[^>]*\ssrc=[\"']https?://[^>]*>\s*</script>", re.IGNORECASE),
    re.compile(r"<link[^>]*\shref=[\"']https?://[^>]*/?>", re.IGNORECASE),
    re.compile(r"<img[^>]*\ssrc=[\"']https?://[^>]*/?>", re.IGNORECASE),
    # The newsletter form and the inline scripts that call what is no longer loaded.
    re.compile(r"<iframe.*?</iframe>", re.IGNORECASE | re.DOTALL),
    re.compile(r"<script(?![^>]*\ssrc=)[^>]*>.*?</script>", re.IGNORECASE | re.DOTALL),
)
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
</style></head>"""


def strip_outside(page: str) -> str:
    """One page without any reference that a browser would fetch from another host."""
    if 'data-offline="1"' in page:
        return page
    for pattern in OUTSIDE:
        page = pattern.sub("", page)
    return page.replace("</head>", STYLE, 1)


def make_offline(docs: Path) -> None:
    """Rewrite every page under the folder; a page already rewritten stays."""
    for path in docs.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        stripped = strip_outside(page)
        if stripped != page:
            path.write_text(stripped, encoding="utf-8")
