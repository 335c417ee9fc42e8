"""The table that a run prints: medians, spread, and the ratio to the best peer."""

import argparse
import platform
import statistics
from collections.abc import Mapping, Sequence

from bench.peers import Peer

Figures = Mapping[str, Mapping[str, list[float]]]
EXTRA = ("idle memory, MB", "peak memory, MB")


def render(
    results: Figures, rows: Sequence[str], peers: Sequence[Peer], args: argparse.Namespace
) -> str:
    """Markdown: one line per row; each cell is the median, ± half the spread in per cent."""
    names = [p.name for p in peers] + (["nginx static"] if "nginx static" in results else [])
    lines = [
        f"{platform.machine()}, {args.rounds} rounds of {args.seconds:g} s per row, 2 workers,"
        f" filled with {args.images:,} images of {args.papers_each} papers"
        f" in {args.repositories} repositories."
        if args.images
        else f"{platform.machine()}, {args.rounds} rounds of {args.seconds:g} s per row, 2 workers.",
        "",
        "| row | "
        + " | ".join(names)
        + " | retinue / best synced | retinue / best on disk | unsynced / best on disk |",
        "|---" * (len(names) + 4) + "|",
    ]
    synced = [p.name for p in peers if p.durable == "synced" and not p.name.startswith("retinue")]
    disk = [p.name for p in peers if p.durable != "not stored" and not p.name.startswith("retinue")]
    for row in (*rows, *EXTRA):
        cells = [_cell(results[n].get(row, [])) for n in names]
        ratios = (
            ["", "", ""]
            if row in EXTRA
            else [
                _ratio(results, row, "retinue", synced),
                _ratio(results, row, "retinue", disk),
                _ratio(results, row, "retinue unsynced", disk),
            ]
        )
        lines.append(f"| {row} | " + " | ".join([*cells, *ratios]) + " |")
    return "\n".join(lines)


def _cell(values: list[float]) -> str:
    if not values:
        return "none"
    middle = statistics.median(values)
    spread = (max(values) - min(values)) / 2 / middle * 100 if middle else 0
    number = f"{middle:,.0f}" if middle >= 100 else f"{middle:,.2f}"
    return f"{number} ±{spread:.0f} %" if len(values) > 1 else number


def _ratio(results: Figures, row: str, ours: str, others: Sequence[str]) -> str:
    best = [statistics.median(results[n][row]) for n in others if results[n].get(row)]
    mine = results.get(ours, {}).get(row)
    return f"{statistics.median(mine) / max(best):.1f}" if mine and best else "-"
