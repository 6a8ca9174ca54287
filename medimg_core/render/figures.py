"""Charts of a report as SVG text, drawn by matplotlib without a window."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

from medimg_core.metrics import PrCurve, ReliabilityBin, RocCurve

_TEXT, _QUIET, _SCALE = "#1E2327", "#535B62", "#7F868D"
SERIES = (("#1E2327", "-"), ("#6A55B0", "--"), ("#2F7069", ":"))
"""Colour and dash of the first, second and third model."""

_OPTIONS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "medimg",  # ids inside the file do not change from run to run
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": _SCALE,
    "axes.labelcolor": _TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _QUIET,
    "ytick.color": _QUIET,
    "text.color": _TEXT,
}


def roc_figure(curves: Sequence[tuple[str, RocCurve]]) -> str:
    """ROC curves with their pointwise 95 % bands."""

    def draw(axes: Any) -> None:
        axes.plot((0, 1), (0, 1), color=_SCALE, linewidth=0.7)
        for (name, curve), (colour, dash) in zip(curves, cycle(SERIES), strict=False):
            axes.fill_between(curve.grid, curve.low, curve.high, color=colour, alpha=0.12, linewidth=0)
            axes.plot(curve.fpr, curve.tpr, color=colour, linestyle=dash, linewidth=1.4, label=name)
        axes.set(xlabel="1 − specificity", ylabel="Sensitivity", xlim=(0, 1), ylim=(0, 1.01))
        axes.legend(frameon=False, loc="lower right")

    return _svg(draw, "ROC curve with 95 % band")


def pr_figure(curves: Sequence[tuple[str, PrCurve]]) -> str:
    """Precision against recall; the level line is the precision of a model that knows nothing."""

    def draw(axes: Any) -> None:
        axes.axhline(curves[0][1].prevalence, color=_SCALE, linewidth=0.7)
        for (name, curve), (colour, dash) in zip(curves, cycle(SERIES), strict=False):
            axes.step(
                [0.0, *curve.recall],
                [curve.precision[0], *curve.precision],
                where="pre",
                color=colour,
                linestyle=dash,
                linewidth=1.4,
                label=name,
            )
        axes.set(xlabel="Recall (sensitivity)", ylabel="Precision", xlim=(0, 1), ylim=(0, 1.01))
        axes.legend(frameon=False, loc="lower left")

    return _svg(draw, "Precision against recall")


def reliability_figure(bins: Sequence[ReliabilityBin], observed_words: str = "Share with the finding") -> str:
    """Observed share against predicted probability, ten bins of equal mass, with intervals."""

    def draw(axes: Any) -> None:
        axes.plot((0, 1), (0, 1), color=_SCALE, linewidth=0.7)
        observed = [b.observed for b in bins]
        spread = [[b.observed - b.low for b in bins], [b.high - b.observed for b in bins]]
        axes.errorbar(
            [b.predicted for b in bins], observed, yerr=spread, fmt="o-", color=_TEXT, linewidth=1, markersize=3
        )
        axes.set(xlabel="Predicted probability", ylabel=observed_words, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))

    return _svg(draw, "Reliability curve with 95 % intervals")


def _svg(draw: Callable[[Any], None], title: str) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_OPTIONS):
        figure = Figure(figsize=(3.6, 3.3), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        out = io.StringIO()
        none = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # no metadata that names an outside address
        figure.savefig(out, format="svg", transparent=True, metadata=none)
    text = out.getvalue()
    return f'<svg role="img" aria-label="{title}"' + text[text.index("<svg") + len("<svg") :]
