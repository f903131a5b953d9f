"""
The picture of a run: a panel for each case, two bars for each peer, flat out and paced.

In:  `__main__` with the document of `report`.
Out: a PNG file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.cases.kind import Goal
from benchmarks.report import OURS

INK = "#1f2933"
FAINT = "#9aa5b1"
OTHERS = ("#7b8794", "#cbd2d9")
HIGHLIGHT = ("#0b7285", "#66c2cd")
LIMIT = "#c92a2a"

Costs = Mapping[str, Mapping[str, float]]


def draw(costs: Costs, cases: Mapping[str, tuple[str, Goal]], note: str, file: Path) -> None:
    """Draw the bars; needs matplotlib (ImportError where it is missing)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = [name for name in cases if costs.get(name)]
    bars = [len(costs[name]) for name in names]
    figure, axes = pyplot.subplots(
        len(names),
        1,
        figsize=(9, 1.1 + sum(0.8 + 0.42 * each for each in bars)),
        height_ratios=bars,
        squeeze=False,
        layout="constrained",
    )
    for axis, name in zip(axes[:, 0], names, strict=True):
        _panel(axis, *cases[name], costs[name], costs.get(f"{name}-paced", {}))
    figure.suptitle(
        "What a request, a message, a question or a connection costs",
        x=0.012,
        ha="left",
        weight="bold",
        color=INK,
    )
    figure.supxlabel(note, x=0.012, ha="left", fontsize=8, color=FAINT)
    figure.savefig(file, dpi=144, facecolor="white")
    pyplot.close(figure)


def limit_of(goal: Goal, costs: Mapping[str, float]) -> float:
    """Give what ours may cost beside these; 0 if the base was not measured."""
    if goal.reach is None:
        return goal.most or 0.0
    return goal.reach * costs.get(goal.base, 0.0)


def bound(goal: Goal) -> str:
    """Say what ours may cost."""
    if goal.reach is None:
        return f"{goal.most:g} {goal.unit.name}"
    return f"{goal.reach:g} × {goal.title}"


def _panel(
    axis: Any, title: str, goal: Goal, flat: Mapping[str, float], paced: Mapping[str, float]
) -> None:
    peers = list(flat)
    limits = [limit for each in (flat, paced) if (limit := limit_of(goal, each))]
    longest = max([*flat.values(), *paced.values(), *(limits if OURS in flat else [])])
    for place, peer in enumerate(peers):
        colours = HIGHLIGHT if peer == OURS else OTHERS
        for values, offset, colour in ((flat, -0.2, colours[0]), (paced, 0.2, colours[1])):
            if peer not in values:
                continue
            cost = values[peer]
            text_at = cost
            axis.barh(place + offset, cost, height=0.38, color=colour)
            text = f"{cost:.1f} {goal.unit.name.removesuffix(' CPU')}"
            if values.get(goal.base) and peer != goal.base:
                text += f"  ({cost / values[goal.base]:.1f} × {goal.title})"
            if peer == OURS and (limit := limit_of(goal, values)):
                # the text does not stand on the line
                text_at = limit if cost < limit < cost + longest * 0.18 else cost
                edges = (place + offset - 0.19, place + offset + 0.19)
                axis.vlines(limit, *edges, color=LIMIT, linewidth=2, zorder=3)
            axis.text(
                text_at + longest * 0.008,
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
        f"{title}   ({'dark: flat out, light: paced; ' if paced else ''}red: {bound(goal)})",
        loc="left",
        fontsize=9,
        color=INK,
    )
    axis.tick_params(axis="y", length=0)
    axis.tick_params(axis="x", labelsize=8, colors=FAINT)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(FAINT)
