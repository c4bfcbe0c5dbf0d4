"""Tables as files: Markdown, CSV, JSON and LaTeX (booktabs)."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from benchmarks.core.record import Cell, Column, TableResult
from benchmarks.report import escape
from benchmarks.report.terminal import number, printed_as, printed_text, why_empty
from senm.support.files import write_text

FIELDS = (
    "table",
    "row",
    "label",
    "paired",
    "filled",
    "column",
    "metric",
    "split",
    "better",
    "state",
    "mean",
    "spread",
    "values",
    "interval_low",
    "interval_high",
    "images",
    "paper",
    "paper_metric",
    "verdict",
    "verdict_reason",
    "reason",
)


def write_all(result: TableResult, folder: Path) -> dict[str, Path]:
    """Write table.json, .md, .csv, .tex and claims.csv into a folder; returns form -> file."""
    texts = {
        "json": result.model_dump_json(indent=1) + "\n",
        "md": markdown(result),
        "csv": comma_separated(result),
        "tex": latex(result),
    }
    paths = {}
    for form, text in texts.items():
        path = folder / f"table.{form}"
        write_text(path, text)
        paths[form] = path
    if result.claims:
        paths["claims"] = folder / "claims.csv"
        write_text(paths["claims"], claims_csv(result))
    return paths


def claims_csv(result: TableResult) -> str:
    """One line a claim: its verdict here and on the printed cells, the reason, the cells that decide it."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("claim", "text", "place", "here", "printed", "reason", "decided by"))
    for claim in result.claims:
        words = (claim.id, claim.text, claim.place, claim.ours, claim.printed, claim.reason, "; ".join(claim.deciding))
        writer.writerow(escape.csv_cell(word) for word in words)
    return stream.getvalue()


def markdown(result: TableResult) -> str:
    """A Markdown page: our number and the printed one in each cell, claims, notes, deviations."""
    result = escape.throughout(result, escape.markdown)
    head = ["row", "pairs", "filled", *(_head(column) for column in result.columns)]
    lines = [
        f"# {result.table}: {result.caption}",
        "",
        f"Data: {result.data}; scale: {result.scale}; seeds: {', '.join(str(s) for s in result.seeds)}. "
        "Each cell: ours (paper).",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    for row in result.rows:
        cells = [_both(result.cell(row.id, column.id), column) for column in result.columns]
        lines.append("| " + " | ".join([row.label, row.paired, row.filled, *cells]) + " |")
    if result.claims:
        lines += ["", "## Claims", "", "| claim | here | printed cells | decided by |", "|---|---|---|---|"]
        for claim in result.claims:
            words = [
                f"{claim.text} ({claim.place})",
                claim.ours,
                claim.printed,
                "; ".join((*claim.deciding, *([claim.reason] if claim.reason else []))),
            ]
            lines.append("| " + " | ".join(words) + " |")
    reasons = why_empty(result, ("not run", "needs server"))
    for title, items in (("Notes", result.notes), ("Not as in the paper", result.deviations), ("Empty cells", reasons)):
        if items:
            lines += ["", f"## {title}", "", *(f"- {item}" for item in items)]
    return "\n".join(lines) + "\n"


def comma_separated(result: TableResult) -> str:
    """One line a cell, with full precision."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
    writer.writeheader()
    rows = {row.id: row for row in result.rows}
    columns = {column.id: column for column in result.columns}
    for cell in result.cells:
        row, column = rows[cell.row], columns[cell.column]
        low, high = cell.interval or ("", "")
        fields = {
            "table": result.table,
            "row": cell.row,
            "label": row.label,
            "paired": row.paired,
            "filled": row.filled,
            "column": cell.column,
            "metric": column.metric,
            "split": column.split,
            "better": column.better,
            "state": cell.state,
            "mean": cell.mean,
            "spread": cell.spread,
            "values": " ".join(repr(value) for value in cell.values),
            "interval_low": low,
            "interval_high": high,
            "images": cell.images,
            "paper": cell.paper,
            "paper_metric": (printed_as(column).lower() or column.metric) if cell.paper is not None else "",
            "verdict": cell.verdict,
            "verdict_reason": cell.verdict_reason,
            "reason": cell.reason,
        }
        writer.writerow({
            name: escape.csv_cell(value) if isinstance(value, str) and name != "values" else value
            for name, value in fields.items()
        })
    return stream.getvalue()


def latex(result: TableResult) -> str:
    """A booktabs tabular of the paper's columns; the best of our numbers in each column is bold."""
    columns = [column for column in result.columns if not column.extra]
    lines = [
        "% needs \\usepackage{booktabs}",
        f"% {escape.plain(result.table)}, data {escape.plain(result.data)}, scale {escape.plain(result.scale)}",
        "\\begin{tabular}{ll" + "r" * len(columns) + "}",
        "\\toprule",
        " & ".join(["System", "Pairs", *(escape.latex(_head(column)) for column in columns)]) + " \\\\",
        "\\midrule",
    ]
    found = {column.id: best(result, column) for column in columns}
    for row in result.rows:
        words = [escape.latex(row.label), escape.latex(row.paired)]
        for column in columns:
            cell = result.cell(row.id, column.id)
            text = escape.latex(_ours(cell, column))
            if cell is not None and cell.mean is None and cell.paper is not None:
                text = f"\\textit{{{escape.latex(printed_text(cell, column))}}}"
            elif cell is not None and cell.mean is not None and cell.mean == found[column.id]:
                text = f"\\textbf{{{text}}}"
            words.append(text)
        lines.append(" & ".join(words) + " \\\\")
    lines += ["\\bottomrule", "\\end{tabular}", "% italic: quoted from the paper"]
    for claim in result.claims:
        because = f" ({claim.reason})" if claim.reason else ""
        lines.append(escape.plain(f"% {claim.id}: {claim.ours}{because}"))
    return "\n".join(lines) + "\n"


def best(result: TableResult, column: Column) -> float | None:
    """The best of our numbers in a column, the real noise left out; None where there is none."""
    rows = {row.id for row in result.rows if row.id != "real"}
    values = [
        cell.mean for cell in result.cells if cell.column == column.id and cell.row in rows and cell.mean is not None
    ]
    if not values:
        return None
    return min(values) if column.better == "lower" else max(values)


def _head(column: Column) -> str:
    return f"{column.group} {column.label}".strip() + (" ↓" if column.better == "lower" else " ↑")


def _ours(cell: Cell | None, column: Column) -> str:
    if cell is None or cell.mean is None:
        return cell.state if cell is not None else ""
    spread = f" ± {number(cell.spread, column.digits)}" if cell.spread is not None else ""
    return number(cell.mean, column.digits) + spread


def _both(cell: Cell | None, column: Column) -> str:
    paper = f" ({printed_text(cell, column)})" if cell is not None and cell.paper is not None else ""
    mark = f", {cell.verdict}" if cell is not None and cell.verdict not in ("", "not comparable") else ""
    return _ours(cell, column) + paper + mark

