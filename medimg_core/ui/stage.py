"""The black stage with an open film: preview, single picture with its map, several maps side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import streamlit as st

from medimg_core.explain.engine import scale_of
from medimg_core.types import Image, Study
from medimg_core.ui import layers, measured, outlined, regions, service, session, staged, study, words
from medimg_core.ui.answer import Answer, question, summary
from medimg_core.ui.maps import Shown
from medimg_core.ui.panel import Panel, Row, html
from medimg_core.ui.session import Case
from medimg_core.ui.staged import Staged
from medimg_core.ui.viewer import (
    LAYOUTS,
    Counted,
    Pane,
    Picker,
    Stack,
    Stage,
    Viewed,
    later_layer,
    layer,
    mount,
    viewer,
)
from medimg_core.workflows.find import Found

# Columns over rows from which images show larger so, on the stage of 1280 x 800 (812 x 668); much the same on others.
_BELOW_FROM = 1.3
_SQUARE_FROM = 0.65
_OTHERS = 6
"""Images beside the answered one whose measurements the panel lists."""


@dataclass(frozen=True, slots=True)
class Read:
    """What a reader did on a stage.

    Attributes:
        rows: the panel's rows about what he measured.
        at: number in the study of the image that he rests on; None before he scrolled to another.
    """

    rows: tuple[Row, ...] = ()
    at: int | None = None


def preview(case: Case, name: str) -> Read:
    """The chosen image, with all images of its patient to scroll through and compare, without a map."""
    image, chosen = case.image, case.series
    if image is None or chosen is None:
        black(name, words.UNREADABLE_PICTURE)
        return Read()
    named = staged.of_patient(case)
    several = [series for _, series, _ in named]
    place, within = next(i for i, one in enumerate(several) if one is chosen), case.chosen - case.start
    key = f"{name}-{case.number}-{image.digest[:16]}"
    titles, kinds = [title for title, _, _ in named], service.known_kinds([one.images[0] for one in several])
    seen = viewer(Study(tuple(several)), key=key, titles=titles, start=(place, within), kinds=kinds, rests=True)
    images = [image for one in several for image in one.images]
    firsts = [sum(len(one.images) for one in several[:at]) for at in range(len(several))]
    stacks = [Stack(title, at, len(one.images)) for title, at, one in zip(titles, firsts, several, strict=True)]
    indices = [first + i for _, one, first in named for i in range(len(one.images))]
    rows = measured_rows(seen, images, firsts[place] + within, stacks)
    return Read(rows, None if seen.at is None else indices[seen.at])


def with_map(
    case: Case, answer: Answer, alone: bool = True, finds: Sequence[Found] = (), counted: Counted | None = None
) -> Read:
    """A film with the map beside its answer. All fast methods are there to choose from, without asking the server.

    A slice stands in its series. The other images of the case can be put beside it, a prior among them.

    Args:
        alone: it has the stage for itself; otherwise it stands beside others, without toolbar and colour bar.
        finds: what models outlined on it.
        counted: how much the slices of its series weighed; the number of the stack is filled in.
    """
    image = answer.image
    if answer.layer is None:
        if alone and finds:
            return outlines(case, image, finds, counted)
        return unanswered(case, image, counted) if alone else _plain(case, image)
    card, space, digest = answer.card, session.workspace(), image.digest
    fast = [m for m in service.offered(card) if m.family == "cam" and service.is_fast(m.name)]
    entries, whose = {}, f"{digest} {answer.look}"
    for m in fast if alone else [m for m in fast if m.name == answer.layer.method]:
        if m.name == answer.layer.method:
            entries[m.name] = layer(answer.layer, whose, space.case)
        else:
            make = partial(service.one_layer, answer, m.name, answer.layer.target, space)
            scale = scale_of(card, m.name)
            entries[m.name] = later_layer(m.name, answer.layer.target, scale, whose, space.case, make)
    scaled = answer.layer.scale is not None
    bar = {"signed": False, "high": "evidence" if scaled else "raw value", "low": "none", "label": words.SCALE}
    shown = staged.around(case, image) if alone else Staged([image], [case.chosen], [])
    stage = Stage(
        toolbar=alone,
        shown=answer.map_trusted,
        bar=bar if alone else None,
        picker=Picker("Method", [(m.name, m.title) for m in fast], answer.layer.method),
        note_off="" if answer.map_trusted else words.map_off(answer.studied, answer.verdict),
        corners=alone,
        regions=[*outlined.lines(shown.images, finds), *(layers.lines(case, shown.images) if alone else ())],
        legend=[*regions.legend(finds), *layers.legend(case)] if alone else (),
    )
    place = "diagnosis" if alone else "beside"
    key = f"{place}-{case.number}-{digest[:16]}-{card.name}-{answer.told}"
    alt = "The film with the map of its evidence"
    return _mounted(case, image, shown, stage, key, alt, finds, entries, counted=counted, alone=alone)


def outlines(case: Case, image: Image, finds: Sequence[Found], counted: Counted | None = None) -> Read:
    """An image with what models outlined on it, without a map.

    Args:
        finds: may be empty: then the reader still has his tools, and a box of his goes to the models that wait for one.
        counted: see `with_map`.
    """
    shown = staged.around(case, image)
    stage = Stage(
        regions=[*outlined.lines(shown.images, finds), *layers.lines(case, shown.images)],
        legend=[*regions.legend(finds), *layers.legend(case)],
    )
    key = f"outlines-{case.number}-{image.digest[:16]}"
    return _mounted(case, image, shown, stage, key, "The image with its outlines", finds, counted=counted)


def unanswered(case: Case, image: Image, counted: Counted | None = None) -> Read:
    """An image without an answer, in its series where it is a slice."""
    in_series = case.series is not None and case.series.kind == "slices"
    return outlines(case, image, (), counted) if in_series else preview(case, "diagnosis")


def _mounted(
    case: Case,
    image: Image,
    shown: Staged,
    stage: Stage,
    key: str,
    alt: str,
    finds: Sequence[Found],
    maps: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    counted: Counted | None = None,
    alone: bool = True,
) -> Read:
    """Mount images with what lies on the chosen one. A series keeps its viewer whichever of its slices is chosen: what
    the reader set and where he scrolled stays.
    """
    several = len(shown.stacks) > 1 or shown.in_series
    answered = bool(maps or finds) and several
    told = replace(
        stage,
        layouts=LAYOUTS if several else ("1x1",),
        stacks=shown.stacks,
        answered=words.answered(staged.told_of(case, shown.named), mapped=bool(maps)) if answered else "",
        mapped=staged.same(shown.images, image),
        wanted=shown.start if shown.in_series else None,
        counted=replace(counted, series=shown.stack or 0) if counted and shown.in_series else None,
    )
    pane = Pane(shown.start, alt, series=shown.stack)
    if shown.in_series:
        key = f"series-{case.number}-{shown.images[0].digest[:16]}"
    got = mount(key, staged.entries(case, shown), [pane], told, maps)
    if not alone:
        return Read()
    seen = outlined.take(case, got, shown.images, finds)
    if shown.in_series:
        outlined.follow_box(case, seen, shown)
    if service.waits_for_box(image, case):
        outlined.take_box(case, seen, shown.images, image)
    rows = (*measured_rows(seen, shown.images, shown.start, shown.named), *layers.rows(case, image))
    return Read(rows, None if seen.at is None else shown.indices[seen.at])


def measured_rows(seen: Viewed, images: Sequence[Image], index: int, stacks: Sequence[Stack] = ()) -> tuple[Row, ...]:
    """The panel's rows about what the reader measured: on one of the images, then on others under their number.

    Args:
        stacks: the series among the images; without them images are counted as they come.
    """
    same = staged.same(images, images[index])
    own = [said for at in same if (said := measured.line(seen.annotations, images, at))]
    others = sorted({mark.image for mark in seen.annotations}.difference(same))
    rows = [
        (f"On {staged.numbered(at, len(images), stacks)}", measured.line(seen.annotations, images, at))
        for at in others[:_OTHERS]
    ]
    more = [("Measured", f"{len(others) - _OTHERS} more images")] if len(others) > _OTHERS else []
    return (*([("Measured", "; ".join(own))] if own else []), *rows, *more)


def in_a_row(case: Case, answers: Sequence[Answer | None]) -> None:
    """The images of one patient beside each other, each with its answer below; a click speaks about that one."""
    with st.container(
        key=_arranged([image.shape for image in case.study.images]),
        height="stretch",
        horizontal=True,
        wrap=False,
        gap="small",
    ):
        for index, (image, found) in enumerate(zip(case.study.images, answers, strict=True)):
            with st.container(key=f"cell-{index}", height="stretch", gap=None):
                if found is None:
                    _plain(case, image)
                else:
                    with_map(case, found, alone=False)
                _select(case, index, found)


def _arranged(shapes: Sequence[tuple[int, int]]) -> str:
    """Key of the container of several images: where they show largest on a stage that is a little wider than high.

    Two wide images stand one below the other, four in two rows; all others beside each other.
    """
    wide = sum(columns / rows for rows, columns in shapes) / len(shapes)
    if len(shapes) == 2 and wide > _BELOW_FROM:
        return "row-below"
    return "row-square" if len(shapes) == 4 and wide > _SQUARE_FROM else "row"


def _select(case: Case, index: int, found: Answer | None) -> None:
    """The line below one image of a row: which it is, and its answer."""
    name = study.label(case, index)
    said = "" if found is None else summary(found) if not question(found) else words.NEEDS_PATIENT
    st.button(
        f"{name}: {said}" if said else name,
        key=f"select-{case.number}-{index}",
        type="primary" if index == case.chosen else "tertiary",
        width="stretch",
        on_click=session.choose,
        args=(index,),
    )


def _plain(case: Case, image: Image) -> Read:
    """One image of a row without a map."""
    pane, stage = Pane(0, "An image without a map"), Stage(toolbar=False, corners=False)
    mount(f"plain-{case.number}-{image.digest[:16]}", staged.films([image]), [pane], stage)
    return Read()


def side_by_side(
    case: Case,
    image: Image,
    model: str,
    shown: Shown,
    names: Sequence[str],
    picker: Picker,
    bar: Mapping[str, Any],
    lines: Sequence[Mapping[str, Any]] = (),
) -> Any:
    """One film under several methods, up to three panes in a row, with one toolbar and one colour bar.

    Args:
        model: tells the stages of several models apart.
        lines: outlines on every pane (`regions.lines`).
    """
    tokens = session.workspace().case
    panes = [Pane(0, f"{shown.methods[name].title} on the film", slot=i) for i, name in enumerate(names)]
    stage = Stage(
        columns=min(len(names), 3),
        bar=bar,
        picker=picker,
        methods=shown.methods,
        slots=names,
        corners=False,
        regions=lines,
    )
    entries = {name: layer(map_, f"{image.digest} {model}", tokens) for name, map_ in shown.layers.items()}
    key = f"explainability-{case.number}-{image.digest[:16]}-{model}"
    with st.container(key="image", height="stretch"):
        return mount(key, staged.films([image]), panes, stage, entries)


def beside(panel: Panel, picture: Callable[[], None]) -> str:
    """A picture without a map and a panel beside it; returns the right end of the footer: no model was run."""
    with st.container(key="image", height="stretch"):
        picture()
    with st.container(key="answer", height="stretch"):
        st.html(html(panel))
    return words.NOT_RUN


def black(name: str, note: str, calm: bool = False) -> None:
    """An empty stage with a reason; `calm` where nothing is wrong."""
    mount(f"{name}-empty", [], [Pane(None, note, note=note, calm=calm)], Stage(toolbar=False))
