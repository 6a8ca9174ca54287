"""The black stage with an open film: preview, single picture with its map, several maps side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import streamlit as st

from medimg_core.explain.engine import scale_of
from medimg_core.types import Image, Series, Study
from medimg_core.ui import layers, measured, naming, outlined, pixels, regions, service, session, study, words
from medimg_core.ui.answer import Answer, question, summary
from medimg_core.ui.maps import Shown
from medimg_core.ui.panel import Panel, Row, html
from medimg_core.ui.session import Case
from medimg_core.ui.viewer import (
    LAYOUTS,
    Pane,
    Picker,
    Stack,
    Stage,
    Viewed,
    film,
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


def films(images: Sequence[Image]) -> list[dict[str, Any]]:
    """Viewer entries of images, under the tokens of the open case."""
    tokens = session.workspace().case
    kinds = service.known_kinds(images)
    told = list(zip(images, kinds, strict=True))
    return session.remember(
        ("entries", tuple((image.digest, image.spacing) for image in images), tuple(kinds)),
        lambda: [film(image, tokens, _encoding(image), kind=kind) for image, kind in told],
    )


def _encoding(image: Image) -> pixels.Encoding:
    return session.remember(("encoding", image.digest), lambda: pixels.encoding(image))


def preview(case: Case, name: str) -> tuple[Row, ...]:
    """The chosen image, with all images of its patient to scroll through and compare, without a map.

    Returns the panel's rows about what the reader measured.
    """
    image, chosen = case.image, case.series
    if image is None or chosen is None:
        black(name, words.UNREADABLE_PICTURE)
        return ()
    named = _of_patient(case)
    series = tuple(one for _, one in named)
    place, within = series.index(chosen), case.chosen - case.start
    key = f"{name}-{case.number}-{image.digest[:16]}"
    titles, kinds = [title for title, _ in named], service.known_kinds([one.images[0] for one in series])
    seen = viewer(Study(series), key=key, titles=titles, start=(place, within), kinds=kinds)
    images = [image for one in series for image in one.images]
    firsts = [sum(len(one.images) for one in series[:at]) for at in range(len(series))]
    stacks = [Stack(title, at, len(one.images)) for title, at, one in zip(titles, firsts, series, strict=True)]
    return measured_rows(seen, images, firsts[place] + within, stacks)


def _of_patient(case: Case) -> list[tuple[str, Series]]:
    """The series of the case that show the chosen image's patient, with what they are called.

    Another patient's never stand on the same stage: the strip above it names one. Where dates differ the date is told,
    so that a prior is known as one.
    """
    found, first = [], 0
    for index, series in enumerate(case.study.series):
        if session.identity(case.header_of(first)) == session.identity(case.header):
            found.append(
                (index, series, case.header_of(first).study_date, series.description or study.label(case, first))
            )
        first += len(series.images)
    dated = len({date for _, _, date, _ in found}) > 1 and not session.patient_hidden()
    return [(f"{index + 1} {name} {date if dated else ''}".strip(), series) for index, series, date, name in found]


def with_map(case: Case, answer: Answer, alone: bool = True, finds: Sequence[Found] = ()) -> tuple[Row, ...]:
    """A film with the map beside its answer. All fast methods are there to choose from, without asking the server.

    The other images of the case can be put beside it, a prior among them. Returns the panel's row about what the reader
    measured on the film.

    Args:
        alone: it has the stage for itself; otherwise it stands beside others, without toolbar and colour bar.
        finds: what models outlined on it.
    """
    image = answer.image
    if answer.layer is None:
        if alone:
            if finds:
                return outlines(case, image, finds)
            return preview(case, "diagnosis")
        return _plain(case, image)
    card, space, digest = answer.card, session.workspace(), image.digest
    fast = [m for m in service.offered(card) if m.family == "cam" and service.is_fast(m.name)]
    entries = {}
    for m in fast if alone else [m for m in fast if m.name == answer.layer.method]:
        if m.name == answer.layer.method:
            entries[m.name] = layer(answer.layer, digest, space.case)
        else:
            make = partial(service.one_layer, answer, m.name, answer.layer.target, space)
            scale = scale_of(card, m.name)
            entries[m.name] = later_layer(m.name, answer.layer.target, scale, digest, space.case, make)
    scaled = answer.layer.scale is not None
    bar = {"signed": False, "high": "evidence" if scaled else "raw value", "low": "none", "label": words.SCALE}
    images, stacks = beside_film(case, image) if alone else ([image], [])
    stage = Stage(
        toolbar=alone,
        layouts=LAYOUTS if len(stacks) > 1 else ("1x1",),
        stacks=stacks,
        shown=answer.map_trusted,
        bar=bar if alone else None,
        picker=Picker("Method", [(m.name, m.title) for m in fast], answer.layer.method),
        note_off="" if answer.map_trusted else words.map_off(answer.studied, answer.verdict),
        answered=words.answered(_told_of(case, stacks), mapped=True) if len(stacks) > 1 else "",
        mapped=_same(images, image),
        corners=alone,
        regions=[*outlined.lines(images, finds), *(layers.lines(case, images) if alone else ())],
        legend=[*regions.legend(finds), *layers.legend(case)] if alone else (),
    )
    pane = Pane(0, "The film with the map of its evidence", series=0 if stacks else None)
    place = "diagnosis" if alone else "beside"
    key = f"{place}-{case.number}-{digest[:16]}-{card.name}-{answer.told}"
    got = mount(key, films(images), [pane], stage, entries)
    return _taken(case, got, images, stacks, finds) if alone else ()


def outlines(case: Case, image: Image, finds: Sequence[Found]) -> tuple[Row, ...]:
    """An image with what models outlined on it, without a map. Returns the panel's row about the reader's own measures.

    Args:
        finds: may be empty: then the reader still has his tools, and a box of his goes to the models that wait for one.
    """
    images, stacks = beside_film(case, image)
    stage = Stage(
        layouts=LAYOUTS if len(stacks) > 1 else ("1x1",),
        stacks=stacks,
        regions=[*outlined.lines(images, finds), *layers.lines(case, images)],
        legend=[*regions.legend(finds), *layers.legend(case)],
        answered=words.answered(_told_of(case, stacks)) if len(stacks) > 1 and finds else "",
        mapped=_same(images, image),
    )
    pane = Pane(0, "The image with its outlines", series=0 if stacks else None)
    got = mount(f"outlines-{case.number}-{image.digest[:16]}", films(images), [pane], stage)
    return _taken(case, got, images, stacks, finds)


def _taken(
    case: Case, got: Any, images: Sequence[Image], stacks: Sequence[Stack], finds: Sequence[Found]
) -> tuple[Row, ...]:
    image, seen = images[0], outlined.take(case, got, images, finds)
    if service.waits_for_box(image, case):
        outlined.take_box(case, seen, images, image)
    return (*measured_rows(seen, images, 0, stacks[1:]), *layers.rows(case, image))


def beside_film(case: Case, image: Image) -> tuple[list[Image], list[Stack]]:
    """A film, then the series of its patient, as stacks to choose from; the film alone where it is all there is."""
    images, stacks, named = [image], [Stack("This image", 0, 1)], _of_patient(case)
    if sum(len(series.images) for _, series in named) == 1:
        return images, stacks
    for title, series in named:
        stacks.append(Stack(title, len(images), len(series.images), frame_ms=series.images[0].frame_ms))
        images.extend(series.images)
    return images, stacks


def _same(images: Sequence[Image], image: Image) -> list[int]:
    """Where an image stands among others: it comes first, and once more in its series."""
    return [index for index, one in enumerate(images) if one.digest == image.digest]


def _told_of(case: Case, stacks: Sequence[Stack]) -> str:
    """What the chosen image is called beside the others of its patient: its number in its series, else its series."""
    index, series = next((i, one) for i, (_, one) in enumerate(_of_patient(case), start=1) if one is case.series)
    return words.numbered(stacks[index].title, case.chosen - case.start, len(series.images), len(stacks) > 2)


def measured_rows(seen: Viewed, images: Sequence[Image], index: int, stacks: Sequence[Stack] = ()) -> tuple[Row, ...]:
    """The panel's rows about what the reader measured: on one of the images, then on others under their number.

    Args:
        stacks: the series among the images; without them images are counted as they come.
    """
    same = _same(images, images[index])
    own = [said for at in same if (said := measured.line(seen.annotations, images, at))]
    others = sorted({mark.image for mark in seen.annotations}.difference(same))
    rows = [
        (f"On {_numbered(at, len(images), stacks)}", measured.line(seen.annotations, images, at))
        for at in others[:_OTHERS]
    ]
    more = [("Measured", f"{len(others) - _OTHERS} more images")] if len(others) > _OTHERS else []
    return (*([("Measured", "; ".join(own))] if own else []), *rows, *more)


def _numbered(at: int, count: int, stacks: Sequence[Stack]) -> str:
    several = [stack for stack in stacks if stack.first <= at < stack.first + stack.count]
    if not several:
        return words.numbered("", at, count, several=False)
    stack = several[-1]
    return words.numbered(stack.title, at - stack.first, stack.count, len({one.title for one in stacks}) > 1)


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


def _plain(case: Case, image: Image) -> tuple[()]:
    """One image of a row without a map."""
    pane = Pane(0, "An image without a map")
    mount(f"plain-{case.number}-{image.digest[:16]}", films([image]), [pane], Stage(toolbar=False, corners=False))
    return ()


def side_by_side(case: Case, answer: Answer, shown: Shown, names: Sequence[str], target: str) -> Any:
    """One film under several methods, 3 x 2 panes with one toolbar and one colour bar."""
    image, tokens = answer.image, session.workspace().case
    titles = naming.names(answer.card) if answer.card.form != "grade" else naming.titles(answer.card)
    order = reversed(answer.card.class_ids) if answer.card.form == "yes_no" else answer.card.class_ids
    panes = [Pane(0, f"{shown.methods[name].title} on the film", slot=i) for i, name in enumerate(names)]
    stage = Stage(
        columns=3,
        bar={"signed": True, "high": "for", "low": "against", "label": words.SCALE},
        picker=Picker("Target", [(c, titles[c]) for c in order], target, True, True),
        methods=shown.methods,
        slots=names,
        corners=False,
    )
    entries = {name: layer(map_, image.digest, tokens) for name, map_ in shown.layers.items()}
    key = f"explainability-{case.number}-{image.digest[:16]}-{answer.card.name}"
    with st.container(key="image", height="stretch"):
        return mount(key, films([image]), panes, stage, entries)


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
