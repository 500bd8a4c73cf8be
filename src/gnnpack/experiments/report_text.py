"""Text of users (run names, reasons) made safe for a file, a page and a figure."""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any

# Neither HTML nor XML can hold these; half of a surrogate pair is what Python makes of a file
# name that is no UTF-8.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

# Templates hold plotly's own marks; makers write no text of users into them.
_TEMPLATES = ("hovertemplate", "texttemplate")


def printable(text: str) -> str:
    """The text, what no file format holds replaced by a question mark in a box."""
    return _CONTROLS.sub("\ufffd", text)


def html(text: str) -> str:
    """The text as HTML shows it, also inside of quotes.

    >>> html('<script>"')
    '&lt;script&gt;&quot;'
    """
    return escape(printable(text), quote=True)


def script_json(obj: Any) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element.

    >>> script_json({"a": "</script>"})
    '{"a":"\\\\u003c/script\\\\u003e"}'
    """
    text = json.dumps(obj, separators=(",", ":"), allow_nan=False)
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text


def for_plotly(node: Any) -> Any:
    """A figure whose texts plotly shows as they are: it takes <b>, <a href> and others as marks.

    NaN and infinities become null, numbers have six digits, line breaks become plotly's.
    """
    if isinstance(node, dict):
        return {
            str(key): value if key in _TEMPLATES else for_plotly(value)
            for key, value in node.items()
        }
    if isinstance(node, (list, tuple)):
        return [for_plotly(value) for value in node]
    if isinstance(node, str):
        return escape(printable(node), quote=False).replace("\n", "<br>")
    if isinstance(node, float):
        return float(f"{node:.6g}") if abs(node) < float("inf") else None
    return node
