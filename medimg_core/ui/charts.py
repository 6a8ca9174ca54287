"""Charts of the comparison page, in one house style that follows Streamlit's theme without a rerun.

Colours are the placeholders `#000001`… which Streamlit replaces by `chartCategoricalColors` of the active theme.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from medimg_core.ui.comparison import short_name
from medimg_core.ui.figures import count, interval
from medimg_core.workflows.dashboard import FLOOR, Dashboard, ModelResult

FIRST, SECOND, THIRD, GREY, WARM = (f"#{i:06d}" for i in range(1, 6))
SERIES = ((FIRST, "solid"), (SECOND, "dash"), (THIRD, "dot"))
DASH_WORDS = {"solid": "", "dash": "dashed: ", "dot": "dotted: "}


def roc(board: Dashboard) -> go.Figure:
    """ROC curves; the first model's with its band, each with its balanced operating point."""
    if board.form == "one_of" and len(board.models) == 1:
        return _roc_of_kinds(board)
    fig = _house(
        f"ROC with 95 % band{_side(board)}", "1 − specificity", "sensitivity", x_range=(0, 1), y_range=(0, 1.02)
    )
    first = board.models[0].roc
    _band(fig, first.grid, first.low, first.high)
    for row, (model, (color, dash)) in enumerate(zip(board.models, SERIES, strict=False)):
        fig.add_scatter(
            x=model.roc.fpr,
            y=model.roc.tpr,
            mode="lines",
            name=model.name,
            line={"dash": dash, "width": 2, "color": color},
            customdata=model.roc.thresholds,
            hovertemplate="sensitivity %{y:.2f} from a probability of %{customdata:.2f}<extra></extra>",
        )
        fig.add_scatter(
            x=[model.point_roc[0]],
            y=[model.point_roc[1]],
            mode="markers",
            marker={"size": 9, "symbol": "circle-open", "line": {"width": 2}, "color": WARM},
            name="balanced operating point",
            hovertemplate="balanced operating point: sensitivity %{y:.2f}<extra></extra>",
        )
        _label(fig, 0.98, 0.10 * (len(board.models) - row), _named(model, dash, "auroc"), color)
    return fig


def _side(board: Dashboard) -> str:
    """Which side a curve speaks of, where the title must say it."""
    if board.form == "grade":
        return f", grade {board.classes.index(board.positive)} or more"
    return "" if board.form == "yes_no" else f", {board.positive} against the rest"


def _roc_of_kinds(board: Dashboard) -> go.Figure:
    """ROC curves of one model, every class against the rest."""
    model = board.models[0]
    fig = _house("ROC, every kind against the rest", "1 − specificity", "sensitivity", (0, 1), (0, 1.02))
    for row, ((name, curve), (color, dash)) in enumerate(zip(model.kinds.items(), SERIES, strict=False)):
        fig.add_scatter(
            x=curve.fpr,
            y=curve.tpr,
            mode="lines",
            name=name,
            line={"dash": dash, "width": 2, "color": color},
            hovertemplate=f"{name}: sensitivity %{{y:.2f}}<extra></extra>",
        )
        figure = model.metrics.get(f"auroc_{name}")
        said = f" {interval(figure)}" if figure else ""
        _label(fig, 0.98, 0.10 * (len(model.kinds) - row), f"{DASH_WORDS[dash]}{name.replace('_', ' ')}{said}", color)
    return fig


def precision_recall(board: Dashboard) -> go.Figure:
    """Precision-recall curves over the share of positives."""
    fig = _house(f"Precision and recall{_side(board)}", "recall", "precision", x_range=(0, 1), y_range=(0, 1.02))
    for row, (model, (color, dash)) in enumerate(zip(board.models, SERIES, strict=False)):
        fig.add_scatter(
            x=model.pr.recall,
            y=model.pr.precision,
            mode="lines",
            name=model.name,
            line={"dash": dash, "width": 2, "color": color},
            hovertemplate="precision %{y:.2f} at recall %{x:.2f}<extra></extra>",
        )
        _label(fig, 0.98, 0.10 * (len(board.models) - row), _named(model, dash, "auprc"), color)
    share = board.models[0].pr.prevalence
    fig.add_hline(y=share, line={"dash": "dot", "width": 1, "color": GREY})
    where = {"yshift": -9} if share > 0.5 else {"yshift": 9}
    fig.add_annotation(
        x=0.02, y=share, text=f"knowing nothing {share:.2f}", showarrow=False, xanchor="left", font=_font(GREY), **where
    )
    return fig


def calibration(board: Dashboard) -> go.Figure:
    """Reliability curve over bins of equal mass, with intervals and counts."""
    fig = _house("Calibration, 10 bins of equal mass", "predicted", "observed", (-0.02, 1.03), (-0.02, 1.06))
    fig.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "width": 1, "color": GREY}, hoverinfo="skip")
    # The words stand on the side of the diagonal that the curves leave free.
    over = sum(b.n * (b.predicted - b.observed) for model in board.models for b in model.bins) > 0
    for row, (model, (color, dash)) in enumerate(zip(board.models, SERIES, strict=False)):
        predicted, observed = (np.array([getattr(b, key) for b in model.bins]) for key in ("predicted", "observed"))
        low, high = (np.array([getattr(b, key) for b in model.bins]) for key in ("low", "high"))
        fig.add_scatter(
            x=predicted,
            y=observed,
            mode="lines+markers",
            name=model.name,
            marker={"size": 7, "color": color},
            line={"width": 1.5, "dash": dash, "color": color},
            error_y={
                "array": high - observed,
                "arrayminus": observed - low,
                "width": 0,
                "thickness": 1,
                "color": color,
                "visible": row == 0,
            },
            customdata=[b.n for b in model.bins],
            hovertemplate="predicted %{x:.2f}, observed %{y:.2f}, n %{customdata}<extra></extra>",
        )
        ece = model.metrics["ece"].value
        text = f"{DASH_WORDS[dash]}ECE {ece:.3f}; by chance up to {model.ece_null_95:.3f}"
        if over:
            _label(fig, 0.02, 1.0 - 0.10 * row, text, color, "left")
        else:
            _label(fig, 0.98, 0.10 * (len(board.models) - row) - 0.02, text, color)
    return fig


def cost(board: Dashboard) -> go.Figure:
    """AUROC against the time of one prediction."""
    times = [max(float(model.cost["predict_ms"]), 0.01) for model in board.models]
    quality = [model.metrics["auroc"] for model in board.models]
    ends = (min(times) / 2.5, max(times) * 2.5)
    floor = max(0.0, min(q.low for q in quality) - 0.06)
    fig = _house(
        "Cost against quality", "ms per image, 2 cores (log)", "AUROC", y_range=(floor, 1.0 + (1 - floor) / 20)
    )
    step = 0.02 if floor > 0.85 else 0.05 if floor > 0.7 else 0.1
    fig.update_yaxes(tickvals=[round(t, 2) for t in np.arange(1.0, floor, -step)])
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if ends[0] <= t <= ends[1]]
    fig.update_xaxes(type="log", range=[float(np.log10(end)) for end in ends], tickvals=ticks)
    for model, x, y, (color, _) in zip(board.models, times, quality, SERIES, strict=False):
        fig.add_scatter(
            x=[x],
            y=[y.value],
            mode="markers",
            name=model.name,
            marker={"size": 10, "color": color},
            error_y={
                "array": [y.high - y.value],
                "arrayminus": [y.value - y.low],
                "width": 0,
                "thickness": 1,
                "color": color,
            },
            hovertemplate="%{x:.1f} ms, AUROC %{y:.3f}<extra></extra>",
        )
        fig.add_annotation(
            x=float(np.log10(x)),
            y=y.low,
            text=short_name(model),
            showarrow=False,
            yanchor="top",
            font=_font(color),
        )
    return fig


def forest(board: Dashboard) -> go.Figure:
    """AUROC by subgroup of the first model, with the floor below which it is not fit for use; of several kinds the
    accuracy, which has no floor.
    """
    model = board.models[0]
    several = board.form == "one_of"
    title = "Accuracy" if several else "AUROC"
    groups = [(f"All, {count(board.n)}", model.metrics["accuracy" if several else "auroc"])]
    groups += [(f"{group.name}, {count(group.n)}", group.figure) for group in model.subgroups]
    names = [name for name, _ in groups]
    value, low, high = (np.array([getattr(figure, key) for _, figure in groups]) for key in ("value", "low", "high"))
    weak = np.zeros(len(value), np.bool_) if several else value < FLOOR
    left = max(0.0, min(0.7, float(low.min()) - 0.02))
    fig = _house(f"{title} by subgroup, {model.name}", title, "", x_range=(left, 1.0))
    fig.update_xaxes(showgrid=True)
    fig.update_yaxes(autorange="reversed", showgrid=False, ticks="")
    fig.add_scatter(
        x=value,
        y=names,
        mode="markers",
        marker={
            "size": [11] + [8] * (len(groups) - 1),
            "symbol": ["square-open" if w else "square" for w in weak],
            "color": [WARM if w else FIRST for w in weak],
            "line": {"width": 2},
        },
        error_x={"array": high - value, "arrayminus": value - low, "width": 0, "thickness": 1.5, "color": FIRST},
        hovertemplate="%{y}: %{x:.2f}<extra></extra>",
    )
    if not several:
        _floor(fig)
    for name, figure in groups:
        fig.add_annotation(
            x=1.0,
            xref="paper",
            y=name,
            text=interval(figure),
            showarrow=False,
            xanchor="left",
            xshift=6,
            font=_font(FIRST),
        )
    fig.update_layout(margin={"l": 8, "r": 116, "t": 38, "b": 36})
    fig.update_yaxes(automargin=True)
    return fig


def _floor(fig: go.Figure) -> None:
    """The line below which a model is not fit for use."""
    fig.add_vline(x=FLOOR, line={"dash": "dot", "width": 1, "color": WARM})
    fig.add_annotation(
        x=FLOOR,
        y=1.0,
        yref="paper",
        text=f"floor {FLOOR:.2f}",
        showarrow=False,
        xanchor="left",
        xshift=4,
        yanchor="bottom",
        font=_font(WARM),
    )


def _house(
    title: str,
    x: str,
    y: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
) -> go.Figure:
    """An empty chart in the house style; low by itself, so that it can stretch to what the page leaves."""

    def axis(name: str, span: tuple[float, float] | None) -> dict[str, Any]:
        shared: dict[str, Any] = {
            "zeroline": False,
            "ticks": "outside",
            "ticklen": 3,
            "tickfont": _font(GREY),
            "title": {"text": name, "standoff": 6, "font": _font(GREY)},
        }
        return shared | ({"range": list(span)} if span else {})

    fig = go.Figure()
    fig.update_layout(
        height=160,
        margin={"l": 48, "r": 12, "t": 30, "b": 40},
        showlegend=False,
        hovermode="closest",
        dragmode=False,
        title={
            "text": title,
            "font": {"size": 14, "weight": 600},
            "x": 0,
            "xref": "container",
            "y": 0.985,
            "yanchor": "top",
            "pad": {"l": 0, "t": 0},
        },
        xaxis=axis(x, x_range) | {"showgrid": False},
        yaxis=axis(y, y_range),
    )
    return fig


def _font(color: str) -> dict[str, Any]:
    return {"size": 12, "color": color}


def _label(fig: go.Figure, x: float, y: float, text: str, color: str, anchor: str = "right") -> None:
    fig.add_annotation(x=x, y=y, text=text, showarrow=False, xanchor=anchor, font=_font(color))


def _named(model: ModelResult, dash: str, metric: str) -> str:
    figure = model.metrics.get(metric)
    return f"{DASH_WORDS[dash]}{short_name(model)}" + (f" {interval(figure)}" if figure else "")


def _band(fig: go.Figure, x: np.ndarray[Any, Any], low: np.ndarray[Any, Any], high: np.ndarray[Any, Any]) -> None:
    fig.add_scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([high, low[::-1]]),
        fill="toself",
        mode="lines",
        line={"width": 0},
        fillcolor=GREY,
        opacity=0.28,
        hoverinfo="skip",
    )
