"""An echo clip, or two frames of one view: both phases side by side, the ejection fraction, the area curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import streamlit as st

from medimg_core.catalog import ModelCard
from medimg_core.errors import Cancelled, ModelUnavailable
from medimg_core.explain.registry import Progress
from medimg_core.types import GateVerdict, Image
from medimg_core.ui import (
    curve,
    findings,
    layers,
    measuring,
    naming,
    numerals,
    outlined,
    quantities,
    regions,
    saving,
    service,
    session,
    stage,
    staged,
    words,
)
from medimg_core.ui.jobs import Job
from medimg_core.ui.panel import Drawing, Panel, Row, Table, html, rows_html
from medimg_core.ui.session import Case, Workspace
from medimg_core.ui.viewer import LAYOUTS, Pane, Stack, Stage, mount
from medimg_core.workflows.clip import Clip, heart_model, measure_clip, outline_clip, placed, verdict
from medimg_core.workflows.find import Found

_PATIENCE = 0.6
_LIMITS = 1


def frames(case: Case) -> tuple[ModelCard, tuple[Image, ...], GateVerdict] | None:
    """Model, frames and verdict where the open case is a clip of the heart or two frames of it; else None."""
    series, images = case.series, case.study.images
    clip = series is not None and series.kind == "frames" and len(series.images) > 1
    pair = case.together and len(images) == 2
    if series is None or not (clip or pair):
        return None
    try:
        card = heart_model(service.choices())
    except ModelUnavailable:
        return None
    if card is None or case.model not in (None, card.name):
        return None
    shown = series.images if clip else images
    key = ("clip", tuple(image.digest for image in shown), card.ref.hash)
    said = session.remember(key, lambda: verdict(shown, card))
    if not said.passed or (pair and not clip and not _both(images, card)):
        return None
    return card, shown, said


def _both(images: Sequence[Image], card: ModelCard) -> bool:
    """Whether the router names this model for both of two single images."""
    space = session.workspace()
    return all(card in service.asked(image, None, space).routed for image in images)


def show(case: Case, card: ModelCard, images: tuple[Image, ...], said: GateVerdict, left: measuring.Place) -> str:
    """Stage and panel of a clip, in the running container; returns the right end of the footer."""
    space = session.workspace()
    key = ("frames", tuple(image.digest for image in images), card.ref.hash)
    work = partial(_outline, images, card, said, space)
    job = space.jobs.start(key, "Outlines of all frames", work)
    job.done.wait(_PATIENCE)
    if not job.done.is_set() or job.error is not None:
        with left:
            stage.preview(case, "diagnosis")
        _waiting(job, len(images), key)
        return words.NOT_RUN
    own = {digest: made for (digest, model), made in case.corrected.items() if model == card.name}
    stamp = tuple(
        (digest, label, tuple(hash(region.polygon) for region in regions))
        for digest, made in own.items()
        for label, regions in made.items()
    )
    measured_key = ("measured", *key, images[0].spacing, images[-1].spacing, stamp)
    clip = session.remember(measured_key, lambda: measure_clip(placed(job.result, images), card, own))
    with left:
        measured = _stage(case, clip, images, measured_key)
    panel = _panel(clip, said)
    st.html(html(replace(panel, rows=())))
    pair = list(clip.chosen or ())
    measuring.controls(case, pair, everywhere=case.together, removing=False)
    st.html(rows_html((*panel.rows, *measured, *_saves(clip))))
    return findings.provenance(pair[0]) if pair else words.NOT_RUN


def _outline(
    images: tuple[Image, ...], card: ModelCard, said: GateVerdict, space: Workspace, progress: Progress
) -> tuple[Found | None, ...]:
    return outline_clip(images, card, said, progress=progress, kept=space.found)


def _waiting(job: Job, count: int, key: object) -> None:
    """How far the frames are, or that they were stopped; what is done is kept."""
    if isinstance(job.error, Cancelled):
        st.html(html(Panel("none", f"{words.STOPPED}: the frames are not all outlined.", "What was outlined is kept.")))
        with st.container(key="next"):
            st.button(words.GO_ON, key="clip-again", on_click=_again, args=(key,))
    elif job.error is not None:
        raise job.error
    else:
        _follow(job, count)


def _again(key: object) -> None:
    session.workspace().jobs.forget(key)


@st.fragment(run_every=0.4)  # type: ignore[untyped-decorator]
def _follow(job: Job, count: int) -> None:
    if job.done.is_set():
        st.rerun()
    st.html(html(Panel("none", f"Outlining {count} frames.", "The ejection fraction follows from all of them.")))
    with st.container(key="next"), st.container(key="follow", horizontal=True, vertical_alignment="center"):
        st.progress(min(job.share, 1.0), text=f"{round(job.share * count)} of {count} frames")
        if st.button(words.CANCEL, key="cancel-clip", type="tertiary"):
            job.stopped.set()


# ---- the stage --------------------------------------------------------------------------------------------------
def _stage(case: Case, clip: Clip, images: tuple[Image, ...], key: object) -> tuple[Row, ...]:
    """Both phases side by side; each pane turns through all frames."""
    finds = [one for one in clip.frames if one is not None]
    lines = session.remember(("lines", key), lambda: _lines(clip))
    count, ms = len(images), images[0].frame_ms
    phases = clip.phases
    if phases is None:
        stacks, panes, layout = (
            [Stack("All frames", 0, count, 0, ms)],
            [Pane(0, "Frames of the heart", series=0)],
            "1x1",
        )
    else:
        named = (("End-diastole", phases.end_diastole), ("End-systole", phases.end_systole))
        stacks = [Stack(f"{name}, frame {at + 1}", 0, count, at, ms) for name, at in named]
        panes = [Pane(at, f"{name} of the heart", series=i) for i, (name, at) in enumerate(named)]
        layout = "1x2"
    told = Stage(
        layouts=LAYOUTS,
        layout=layout,  # type: ignore[arg-type]
        stacks=stacks,
        regions=[*lines, *layers.lines(case, images)],
        legend=[*regions.legend(clip.chosen or finds[:1]), *layers.legend(case)],
    )
    got = mount(f"heart-{case.number}-{images[0].digest[:16]}-{count}", staged.films(images), panes, told)
    seen = outlined.take(case, got, images, finds)
    at = phases.end_diastole if phases else 0
    return stage.measured_rows(seen, images, at)


def _lines(clip: Clip) -> list[dict[str, object]]:
    return [line for i, one in enumerate(clip.frames) if one is not None for line in regions.lines(one, i)]


# ---- the panel --------------------------------------------------------------------------------------------------
def _panel(clip: Clip, said: GateVerdict) -> Panel:
    pair = clip.chosen
    if pair is None or clip.phases is None:
        return Panel("doubt", "No ejection fraction: no two phases were found.", " ".join(clip.doubts))
    asked = findings.asked_words(pair[0])
    top = quantities.first(clip.measurements)
    fraction = top is not None and top.name == "ejection_fraction"
    sentence = f"{quantities.said(top)}." if top is not None and fraction else "No ejection fraction can be told."
    more = f"End-diastole is frame {clip.phases.end_diastole + 1}, end-systole frame {clip.phases.end_systole + 1}"
    more += f" of {len(clip.frames)}."
    tone: words.Tone = "doubt" if _doubts(clip, pair) else "none"
    if not pair[0].fit_for_use:
        tone, more, sentence = "stop", f"{sentence} {more}", words.not_fit(pair[0].population)
    return Panel(tone, sentence, more, question=asked, rows=tuple(_rows(clip, pair, said)))


def _rows(clip: Clip, pair: tuple[Found, Found], said: GateVerdict) -> list[Row]:
    doubts = _doubts(clip, pair)
    out: list[Row] = [("Doubts", " ".join(doubts))] if doubts else []
    if clip.measurements:
        out.append(("Measurements", _measurements(clip, pair)))
    drawn = _curve(clip, pair[0].image)
    if drawn is not None:
        out.append(("Area curve", drawn))
    out.append(("Outline", _quality(pair)))
    limits = [str(text) for text in clip.card.text.get("limits", ())][:_LIMITS]
    out += [("Limits", " ".join(limits))] if limits else []
    return [*out, ("Input check", words.input_check(said, ""))]


def _doubts(clip: Clip, pair: tuple[Found, Found]) -> list[str]:
    """What makes the phases, the fraction or the outlines that it rests on doubtful."""
    named = zip(pair, ("in end-diastole", "in end-systole"), strict=True)
    return [*(text for one, where in named if (text := findings.weak(one, where))), *clip.doubts]


def _measurements(clip: Clip, pair: tuple[Found, Found]) -> Table:
    lines = tuple(
        (quantities.title(one.name), f"**{quantities.value(one)}**", quantities.interval(one))
        for one in clip.measurements
    )
    more = [quantities.scale(pair[0].image) or findings.NO_VOLUMES]
    figures = pair[0].figures
    error = figures.errors.get("ejection_fraction") if figures else None
    if error is not None:
        spread = f"{error.mae.low:.1f}\u2060–\u2060{error.mae.high:.1f}"
        more.append(
            f"On test the fraction was off by {error.mae.value:.1f} points ({spread}, {numerals.counted(error.n)})."
        )
    corrected = [one for one in pair if one.corrected]
    more += [f"{findings.corrected_words(corrected[0])} {findings.NO_INTERVAL}"] if corrected else []
    return Table(lines, more=tuple(more))


def _quality(pair: tuple[Found, Found]) -> Table:
    """What the network expects of both outlines, and what was measured on test frames."""
    figures, lines = pair[0].figures, []
    for structure in pair[0].places.structures:
        cells = [_expected(one, structure.id) for one in pair]
        test = figures.structures.get(structure.id) if figures else None
        measured = f"{test.value:.3f} ({test.low:.3f}\u2060–\u2060{test.high:.3f})" if test else "not measured"
        lines.append((structure.title, *cells, measured))
    n = f"on test, {numerals.counted(figures.n)}" if figures else "on test"
    return Table(tuple(lines), ("Dice", "ED", "ES", n))


def _expected(one: Found, name: str) -> str:
    if name in one.corrected:
        return "by you"
    region = next((region for region in one.shown if region.label == name), None)
    return "none" if region is None else f"**{region.score:.2f}**"


def _curve(clip: Clip, image: Image) -> Drawing | None:
    spacing = image.spacing if quantities.scale(image) else None
    unit, scale = ("cm²", spacing.row_mm * spacing.column_mm / 100) if spacing else ("px²", 1.0)
    if len(clip.areas) < 3:
        return None
    markup = curve.html(clip.areas, clip.phases, unit, scale)
    return Drawing(markup) if markup else None


def _saves(clip: Clip) -> tuple[Row, ...]:
    """Links for each of the two frames; the ejection fraction stands in the table of the first."""
    pair = clip.chosen
    if pair is None:
        return ()
    said = replace(pair[0].prediction, measurements=(*clip.measurements, *pair[0].prediction.measurements))
    space = session.workspace()
    both = (("End-diastole", replace(pair[0], prediction=said)), ("End-systole", pair[1]))
    return (("Save", Drawing("<br>".join(f"{name}: {saving.links([one], space)}" for name, one in both))),)


def mark(card: ModelCard) -> str:
    """What the data behind the model allow."""
    return naming.licence_mark(card)
