"""Data Docs fetch nothing from other hosts."""

from asset_checks.data_docs import strip_outside

PAGE = """<html><head><link rel="stylesheet" href="https://a.example/x.css"/><script src="https://b.example/x.js"></script>
<style>.logo { background: url('https://c.example/logo.png') 0 0 no-repeat; width: 1px; }</style></head>
<body><img src="https://d.example/y.png"><a href="https://e.example/">kept: nobody loads it</a></body></html>"""


def test_nothing_is_loaded_from_outside():
    page = strip_outside(PAGE)
    for host in "abcd":
        assert f"{host}.example" not in page
    assert "width: 1px" in page
    assert "https://e.example/" in page
    assert strip_outside(page) == page
