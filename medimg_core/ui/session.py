"""What one browser session holds: its open case, its tokens, its results. Nothing here outlives the session."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import streamlit as st

from medimg_core.inference.series import Slice
from medimg_core.types import Image, PatientHeader, Region, Series, Spacing, Study
from medimg_core.ui import memory
from medimg_core.ui.jobs import Jobs
from medimg_core.ui.tokens import Tokens
from medimg_core.workflows.cache import ByteCache
from medimg_core.workflows.diagnose import answer_cache
from medimg_core.workflows.explain import MapCache
from medimg_core.workflows.find import Corrected, find_cache

T = TypeVar("T")

_CASE = "case"
_COUNT = "cases"
SIDE_BY_SIDE = 4
"""Images of one patient that stand in a row; more are looked at one by one."""

_RESULTS = 256
"""Results kept in a session. Those on large grids are cut to the grid they were computed on before they get here."""


def identity(header: PatientHeader) -> tuple[str, str, str]:
    """Whose image it is, as far as its header says: name, ID, birth date."""
    return header.name, header.patient_id, header.birth_date


@dataclass(frozen=True, slots=True)
class Case:
    """One drop of files, as open in the browser.

    Attributes:
        headers: whose images each series of the study holds; never leaves the session's memory.
        chosen: index of the image that the pages speak about.
        told: image -> the reader's answer where the header tells neither age nor view: a population id,
            `other_age` or `unknown`.
        models: image -> the model that the reader asked in place of the router's.
        boxes: image -> where the reader drew a box, for models that have to be told where to look.
        corrected: digest of an image and name of a model -> what the reader made of its outlines and boxes.
        untyped: image -> the spacing that its file states, where the reader typed another.
        demo: title of the demo case, empty for the reader's own files.
        number: counts the cases of a session, so that nothing of an earlier one can be taken for this one.
    """

    study: Study
    headers: tuple[PatientHeader, ...]
    chosen: int = 0
    told: Mapping[int, str] = field(default_factory=dict)
    models: Mapping[int, str] = field(default_factory=dict)
    boxes: Mapping[int, tuple[float, float, float, float]] = field(default_factory=dict)
    corrected: Mapping[tuple[str, str], Corrected] = field(default_factory=dict)
    untyped: Mapping[int, Spacing | None] = field(default_factory=dict)
    demo: str = ""
    number: int = 0

    @property
    def image(self) -> Image | None:
        """The image that the pages speak about; None when no file could be read."""
        images = self.study.images
        return images[self.chosen] if images else None

    @property
    def who(self) -> str | None:
        """What the reader told about the patient of the chosen image; None when not asked or not answered."""
        return self.told.get(self.chosen)

    @property
    def model(self) -> str | None:
        """The model that the reader asked about the chosen image; None leaves it to the router."""
        return self.models.get(self.chosen)

    def _place(self, image: int | None = None) -> int:
        """Index of the series that an image belongs to, the chosen one unless given."""
        wanted, seen = self.chosen if image is None else image, 0
        for index, series in enumerate(self.study.series):
            seen += len(series.images)
            if wanted < seen:
                return index
        raise IndexError(wanted)

    @property
    def together(self) -> bool:
        """Whether the images are few, single, and of one patient as far as their headers say: side by side then."""
        single = all(len(series.images) == 1 for series in self.study.series)
        patients = {identity(header) for header in self.headers}
        return single and 2 <= len(self.study.images) <= SIDE_BY_SIDE and len(patients) == 1

    def header_of(self, image: int) -> PatientHeader:
        """Whose image one of the study is; empty where the file does not say."""
        return self.headers[self._place(image)] if self.headers else PatientHeader()

    @property
    def series(self) -> Series | None:
        """The series that the chosen image belongs to."""
        return self.study.series[self._place()] if self.study.series else None

    @property
    def start(self) -> int:
        """Index of the first image of that series among `study.images`."""
        return sum(len(series.images) for series in self.study.series[: self._place()])

    @property
    def header(self) -> PatientHeader:
        """Whose image the chosen one is; empty where the file does not say."""
        return self.header_of(self.chosen)


@dataclass(slots=True, eq=False)
class Workspace:
    """Tokens, results and running work of one session; `close` frees all of it when the browser has gone."""

    case: Tokens = field(default_factory=Tokens)
    demos: Tokens = field(init=False)
    jobs: Jobs = field(default_factory=Jobs)
    maps: MapCache = field(default_factory=MapCache)
    answers: ByteCache[Any, Any] = field(default_factory=answer_cache)
    found: ByteCache[Any, Any] = field(default_factory=find_cache)
    results: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict)
    slices: dict[tuple[object, ...], Slice] = field(default_factory=dict)
    lines: dict[int, Any] = field(default_factory=dict)
    saves: dict[Hashable, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.demos = Tokens(self.case.session)

    def remember(self, key: Hashable, make: Callable[[], T]) -> T:
        """A result by what it depends on (content hash, model hash, parameters): made once, then from memory."""
        with self.lock:
            if key in self.results:
                self.results.move_to_end(key)
                return cast(T, self.results[key])
        made = make()
        with self.lock:
            self.results[key] = made
            while len(self.results) > _RESULTS:
                self.results.popitem(last=False)
        return made

    def clear_case(self) -> None:
        """Forget everything about the open case: its pixels and maps answer 404 from now on."""
        self.jobs.clear()
        self.case.release()
        self.maps.clear()
        self.answers.clear()
        self.found.clear()
        with self.lock:
            self.results.clear()
            self.slices.clear()
            self.lines.clear()
            self.saves.clear()
        memory.give_back_soon()

    def close(self) -> None:
        """Forget everything; called when the session ends."""
        self.clear_case()
        self.demos.release()


@st.cache_resource(scope="session", show_spinner=False, on_release=Workspace.close)  # type: ignore[untyped-decorator]
def workspace() -> Workspace:
    """The workspace of the running session."""
    return Workspace()


def remember(key: Hashable, make: Callable[[], T]) -> T:
    """`Workspace.remember` of the running session."""
    space: Workspace = workspace()
    return space.remember(key, make)


def current() -> Case | None:
    """The open case."""
    return cast("Case | None", st.session_state.get(_CASE))


def open_case(study: Study, headers: tuple[PatientHeader, ...], demo: str = "") -> Case:
    """Put a study on the stage; the case before it is closed."""
    close_case()
    number = st.session_state[_COUNT] = st.session_state.get(_COUNT, 0) + 1
    case = Case(study, headers, demo=demo, number=number)
    st.session_state[_CASE] = case
    return case


def close_case() -> None:
    """Forget the open case."""
    workspace().clear_case()
    st.session_state.pop(_CASE, None)


def choose(index: int) -> None:
    """Speak about another image of the study."""
    case = current()
    if case is not None and index != case.chosen:
        st.session_state[_CASE] = replace(case, chosen=index)


def go_to(index: int) -> None:
    """Speak about another image. In the same series what the reader told about the patient and the model he asked hold
    there too.
    """
    case = current()
    if case is None or index == case.chosen or case.series is None:
        return
    if case.start <= index < case.start + len(case.series.images):
        told = {index: case.who, **case.told} if case.who else case.told
        models = {index: case.model, **case.models} if case.model else case.models
        case = replace(case, told=told, models=models)
    st.session_state[_CASE] = replace(case, chosen=index)


def tell(who: str) -> None:
    """Keep the reader's answer about age and view; it holds for the chosen image, another may show another patient."""
    case = current()
    if case is not None:
        st.session_state[_CASE] = replace(case, told={**case.told, case.chosen: who})


def ask(model: str | None) -> None:
    """Ask a model of the reader's choice about the chosen image; None leaves it to the router again."""
    case = current()
    if case is not None:
        rest = {index: name for index, name in case.models.items() if index != case.chosen}
        st.session_state[_CASE] = replace(case, models=rest | ({case.chosen: model} if model else {}))


def draw_box(image: int, box: tuple[float, float, float, float] | None) -> bool:
    """Keep the box that a reader drew on an image, None for none; returns whether it is another than before."""
    case = current()
    if case is None or case.boxes.get(image) == box:
        return False
    rest = {index: one for index, one in case.boxes.items() if index != image}
    st.session_state[_CASE] = replace(case, boxes=rest | ({image: box} if box else {}))
    return True


def correct(digest: str, model: str, structure: str, regions: tuple[Region, ...]) -> None:
    """Keep what a reader left of a structure in place of the model's regions; nothing where he took all away."""
    case = current()
    if case is not None:
        changed = {**case.corrected.get((digest, model), {}), structure: regions}
        st.session_state[_CASE] = replace(case, corrected={**case.corrected, (digest, model): changed})


def uncorrect(digest: str, model: str) -> None:
    """Take a reader's regions back."""
    case = current()
    if case is not None:
        rest = {key: regions for key, regions in case.corrected.items() if key != (digest, model)}
        st.session_state[_CASE] = replace(case, corrected=rest)


def type_spacing(spacing: Spacing | None, everywhere: bool = False) -> None:
    """Give all images of the chosen series a spacing that the reader typed; None brings back what the files state.

    Args:
        everywhere: the images of all series.
    """
    case = current()
    if case is None or case.series is None:
        return
    if everywhere:
        for series in case.study.series:
            _type_spacing(spacing, series)
    else:
        _type_spacing(spacing, case.series)


def _type_spacing(spacing: Spacing | None, chosen: Series) -> None:
    case = current()
    assert case is not None
    place = next(index for index, series in enumerate(case.study.series) if series is chosen)
    first = sum(len(series.images) for series in case.study.series[:place])
    stated = {first + i: case.untyped.get(first + i, image.spacing) for i, image in enumerate(chosen.images)}
    images = tuple(replace(image, spacing=spacing or stated[first + i]) for i, image in enumerate(chosen.images))
    series = (*case.study.series[:place], replace(chosen, images=images), *case.study.series[place + 1 :])
    rest = {index: one for index, one in case.untyped.items() if index not in stated}
    untyped = rest | (stated if spacing else {})
    st.session_state[_CASE] = replace(case, study=replace(case.study, series=series), untyped=untyped)


def add_segmentations(added: Study) -> None:
    """Segmentations that were dropped while a case was open, with the notes about them."""
    case = current()
    if case is not None:
        several = (*case.study.segmentations, *added.segmentations)
        study = replace(case.study, segmentations=several, notes=(*case.study.notes, *added.notes))
        st.session_state[_CASE] = replace(case, study=study)


def patient_hidden() -> bool:
    """`MEDIMG_HIDE_PATIENT=1` hides whose image is open, for demonstrations."""
    return os.environ.get("MEDIMG_HIDE_PATIENT", "") not in ("", "0")
