"""Replies of the sandbox against the vendors' own OpenAPI documents, which are read from the shared data beside us."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "data" / "vendor_samples"


def document(*path: str) -> dict[str, Any]:
    """An OpenAPI document of a vendor; the test is skipped where the shared data are not."""
    found = SAMPLES.joinpath(*path)
    if not found.exists():
        pytest.skip(f"no vendor's specification at {found}: the shared data are absent")
    text = found.read_text()
    loaded: dict[str, Any] = json.loads(text) if found.suffix == ".json" else yaml.safe_load(text)
    return loaded


def problems(specification: dict[str, Any], path: str, method: str, status: str, body: Any) -> list[str]:
    """What a reply's body breaks of the schema that the specification gives for it; empty when it fits."""
    response = specification["paths"][path][method]["responses"][status]
    if "$ref" in response:
        response = _followed(specification, response["$ref"])
    (content,) = response["content"].values()
    schema = {**_as_json_schema(content["schema"]), "components": _as_json_schema(specification.get("components", {}))}
    found = Draft202012Validator(schema).iter_errors(body)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in found]


def _followed(specification: dict[str, Any], reference: str) -> dict[str, Any]:
    node: Any = specification
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    found: dict[str, Any] = node
    return found


def _as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0's `nullable` is no word of JSON Schema; `oneOf` of types that overlap, as they do, refuses every value."""
    if isinstance(node, list):
        return [_as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {
        "anyOf" if key == "oneOf" else key: _as_json_schema(value)
        for key, value in node.items()
        if key not in ("nullable", "example")
    }
    if node.get("nullable") is not True:
        return plain
    if isinstance(plain.get("enum"), list):
        plain["enum"] = [*plain["enum"], None]
    if isinstance(plain.get("type"), str):
        return {**plain, "type": [plain["type"], "null"]}
    return {"anyOf": [plain, {"type": "null"}]}
