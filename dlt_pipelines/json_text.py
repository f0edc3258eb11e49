"""JSON as vendors write it: read and written by orjson, and by the standard library where orjson is too strict.

Over event exports orjson takes a third of the standard library's time. It refuses what vendors do send: half an emoji, NaN, a
byte order mark.
"""

import json
from typing import Any, Final

import orjson

_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def decode(text: bytes | str) -> Any:
    """The value of a JSON text. A whole number beyond 64 bits becomes a float, as it does in browsers.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def encode(value: Any) -> str:
    """A value as JSON without blanks, other scripts unescaped; half an emoji stays in the text.

    Raises:
        TypeError: the value is not one of JSON's.
    """
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return _ENCODE(value)
