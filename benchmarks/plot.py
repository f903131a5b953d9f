"""
The picture of a run: a panel for each case, two bars for each peer, flat out and paced.

In:  `__main__` with the document of `report`.
Out: a PNG file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import BASE, OURS, REACH

INK = "#1f2933"
FAINT = "#9aa5b1"
OTHERS = ("#7b8794", "#cbd2d9")
HIGHLIGHT = ("#0b7285", "#66c2cd")
LIMIT = "#c92a2a"

Costs = Mapping[str, Mapping[str, float]]


def draw(costs: Costs, titles: Mapping[str, str], note: str, file: Path) -> None:
    """Draw the bars; needs matplotlib (ImportError where it is missing)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = [name for name in titles if costs.get(name)]
    figure, axes = pyplot.subplots(
        len(names), 1, figsize=(9, 1.1 + 2.9 * len(names)), squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes[:, 0], names, strict=True):
        _panel(axis, titles[name], [(costs[name], "flat out"), (costs.get(f"{name}-paced"), "")])
    figure.suptitle(
        "CPU time of the proxy for one request", x=0.012, ha="left", weight="bold", color=INK
    )
    figure.supxlabel(note, x=0.012, ha="left", fontsize=8, color=FAINT)
    figure.savefig(file, dpi=144, facecolor="white")
    pyplot.close(figure)


def _panel(axis: Any, title: str, series: Sequence[tuple[Mapping[str, float] | None, str]]) -> None:
    flat, paced = series[0][0] or {}, series[1][0] or {}
    peers = list(flat)
    longest = max([*flat.values(), *paced.values()])
    for place, peer in enumerate(peers):
        colours = HIGHLIGHT if peer == OURS else OTHERS
        for values, offset, colour in ((flat, -0.2, colours[0]), (paced, 0.2, colours[1])):
            if peer not in values:
                continue
            cost = values[peer]
            limit = 0.0
            axis.barh(place + offset, cost, height=0.38, color=colour)
            text = f"{cost:.1f} µs"
            if values.get(BASE) and peer != BASE:
                text += f"  ({cost / values[BASE]:.1f} × nginx)"
            if peer == OURS and values.get(BASE):
                limit = REACH * values[BASE]
                edges = (place + offset - 0.19, place + offset + 0.19)
                axis.vlines(limit, *edges, color=LIMIT, linewidth=2, zorder=3)
            axis.text(
                max(cost, limit) + longest * 0.008,
                place + offset,
                text,
                va="center",
                fontsize=8,
                color=INK,
            )
    axis.set_yticks(range(len(peers)), peers, fontsize=10, color=INK)
    axis.invert_yaxis()
    axis.set_xlim(0, longest * 1.22)
    axis.set_title(
        f"{title}   (dark: flat out, light: paced; red: {REACH:.0f} × nginx)",
        loc="left",
        fontsize=9,
        color=INK,
    )
    axis.tick_params(axis="y", length=0)
    axis.tick_params(axis="x", labelsize=8, colors=FAINT)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(FAINT)
