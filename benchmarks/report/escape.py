"""Foreign text made harmless, one function for each output form; labels and reasons come from plugins and folders."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

from benchmarks.core.record import TableResult

FORMULA = ("=", "+", "-", "@")
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|~#])")
TEX = {
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "^": "\\textasciicircum{}",
    "~": "\\textasciitilde{}",
    "↓": "$\\downarrow$",
    "↑": "$\\uparrow$",
    "±": "$\\pm$",
}


def plain(text: str) -> str:
    r"""One line without control characters: what a terminal would obey and what turns the direction of writing.

    >>> plain("a\x1b[31m\nb")
    'a?[31m b'
    """
    joined = " ".join(text.splitlines())
    return "".join(" " if mark == "\t" else "?" if unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Co") else mark
                   for mark in joined)


def csv_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe goes before one, as spreadsheets write it.

    >>> csv_cell("=1+1")
    "'=1+1"
    """
    shown = plain(text)
    return f"'{shown}" if shown.lstrip().startswith(FORMULA) else shown


def markdown(text: str) -> str:
    r"""Text that Markdown shows as it is, in a table too.

    >>> markdown("<b>|x_1")
    '\\<b\\>\\|x\\_1'
    """
    return MARKDOWN.sub(r"\\\1", plain(text))


def latex(text: str) -> str:
    r"""Text that TeX prints as it is; of ^^5c, its notation for a backslash, each mark is printed.

    >>> latex("50 % ^^5c")
    '50 \\% \\textasciicircum{}\\textasciicircum{}5c'
    """
    return "".join(TEX.get(mark, mark) for mark in plain(text))


def throughout(result: TableResult, escape: Callable[[str], str]) -> TableResult:
    """The table with every text in it escaped, ids too, which stay equal to each other."""
    return TableResult.model_validate(_each(result.model_dump(), escape))


def _each(value: Any, escape: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, dict):
        return {key: _each(each, escape) for key, each in value.items()}
    return [_each(each, escape) for each in value] if isinstance(value, list | tuple) else value
