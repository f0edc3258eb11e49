"""`attribution new-source`: a source that already works, written into a checkout from templates.

Every file a source consists of is written, and every list that names the sources gets its line, so that the first thing to
do is to run a test that passes. What is left is to say what the vendor really sends.
"""

import keyword
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

TEMPLATES: Final = Path(__file__).parent / "templates" / "new_source"


class NewSourceError(ValueError):
    """The source cannot be made; the message says why and what to do."""


@dataclass(frozen=True)
class _Line:
    """A line, or a few, that a file of the checkout gets before or behind an anchor."""

    file: str
    anchor: str
    text: str
    after: bool = False


# Template and where it goes.
FILES: Final[Mapping[str, str]] = {
    "source.py.txt": "dlt_pipelines/sources/{name}.py",
    "vendor.py.txt": "dlt_pipelines/sandbox/vendors/{name}.py",
    "test.py.txt": "tests/extraction/test_{name}_source.py",
    "staging.sql.txt": "dbt_attribution/models/staging/stg_{name}__orders.sql",
    "staging.yml.txt": "dbt_attribution/models/staging/_stg_{name}.yml",
}


def new_source(name: str, checkout: Path, title: str = "") -> tuple[list[Path], list[Path]]:
    """Write a source into a checkout of the project.

    Args:
        name: lower-case word, as it will stand in settings and table names.
        title: the vendor's name as people write it.

    Returns:
        Files written, then files changed.

    Raises:
        NewSourceError: not a name, not a checkout, or a source of that name is there. Nothing was written.
    """
    values = _values(name, checkout, title)
    written = {checkout / path.format(name=name): _filled(template, values) for template, path in FILES.items()}
    there = [path for path in written if path.exists()]
    if there:
        raise NewSourceError(f"{there[0]} exists; choose another name or remove it.")
    changed: dict[Path, str] = {}
    for line in _lines(name, values):
        path = checkout / line.file
        changed[path] = _inserted(path, changed.get(path, path.read_text()), line)
    for path, text in {**written, **changed}.items():
        path.write_text(text)
    return list(written), list(changed)


def _values(name: str, checkout: Path, title: str) -> dict[str, str]:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise NewSourceError(
            f"{name!r} is not a name: lower-case letters, digits and single underscores, as in my_shop."
        )
    if not (checkout / "dlt_pipelines" / "registry.py").is_file() or not (checkout / "dbt_attribution").is_dir():
        raise NewSourceError(f"{checkout} is no checkout of the project; run it in one, or name one with --into.")
    class_name = "".join(part.capitalize() for part in name.split("_"))
    shown = title or " ".join(part.capitalize() for part in name.split("_"))
    return {"name": name, "class_name": class_name, "env": name.upper(), "title": shown}


def _filled(template: str, values: Mapping[str, str]) -> str:
    return Template((TEMPLATES / template).read_text()).substitute(values)


def _lines(name: str, values: Mapping[str, str]) -> list[_Line]:
    """Every list that names the sources."""
    class_name, env = values["class_name"], values["env"]
    vendors = "dlt_pipelines/sandbox/server.py"
    return [
        _Line("dlt_pipelines/config.py", "class SourcesConfig(BaseModel):\n", _filled("config.py.txt", values)),
        _Line(
            "dlt_pipelines/config.py",
            "    backend: BackendConfig = BackendConfig()\n",
            f"    {name}: {class_name}Config = {class_name}Config()\n",
        ),
        _Line("dlt_pipelines/registry.py", "from dlt_pipelines.sources import (\n", f"    {name},\n", after=True),
        _Line("dlt_pipelines/registry.py", "        backend.SPEC,\n", f"        {name}.SPEC,\n"),
        _Line("dlt_pipelines/sandbox/faults.py", "Vendor = Literal[\n", f'    "{name}",\n', after=True),
        _Line(vendors, "from dlt_pipelines.sandbox.vendors import (\n", f"    {name},\n", after=True),
        _Line(
            vendors,
            "MOUNTED: dict[str, Callable[[World, Faults], ASGIApp]] = {\n",
            f'    "{name}": {name}.create_app,\n',
            after=True,
        ),
        _Line(vendors, '            "HUBSPOT_ACCESS_TOKEN":', f'            "{env}_API_KEY": {name}.KEY,\n'),
        _Line("dbt_attribution/dbt_project.yml", "    - backend\n", f"    - {name}\n"),
        _Line(
            "dbt_attribution/models/staging/_sources.yml",
            "  - name: raw_backend\n",
            _filled("dbt_source.yml.txt", values),
        ),
        _Line(
            "asset_checks/expectations/raw_contracts.yml",
            "raw_hubspot.contacts:\n",
            _filled("contract.yml.txt", values),
        ),
        _Line("tests/extraction/fault_matrix.py", '    "google_ads": Case(\n', _filled("matrix.py.txt", values)),
    ]


def _inserted(path: Path, text: str, line: _Line) -> str:
    found = text.find(line.anchor)
    if found < 0:
        raise NewSourceError(f"{path} holds no line {line.anchor.strip()!r} to put the source beside; add it by hand.")
    at = found + len(line.anchor) if line.after else found
    return text[:at] + line.text + text[at:]


def new_source_command(name: str, checkout: Path, title: str, say: Callable[[str], None]) -> None:
    """Write the source and say what comes next.

    Raises:
        NewSourceError: as `new_source`.
    """
    for done, paths in zip(("written", "changed"), new_source(name, checkout, title), strict=True):
        for path in paths:
            say(f"{done}  {path.relative_to(checkout)}")
    say("")
    say(f"It works as it stands: python -m pytest tests/extraction/test_{name}_source.py")
    say(f"Now make it the vendor's: dlt_pipelines/sources/{name}.py, then docs/adding-a-source.md from step 2.")
