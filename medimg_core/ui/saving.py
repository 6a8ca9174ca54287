"""Findings to keep: links to a picture, a table and a DICOM segmentation, made when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from medimg_core.render.findings import Findings, findings_csv, findings_png
from medimg_core.render.segmentation import series_to_dicom_seg
from medimg_core.types import Measurement
from medimg_core.ui import naming, routes
from medimg_core.ui.panel import Drawing, Row
from medimg_core.ui.session import Workspace
from medimg_core.workflows.find import Found, by_reader

_MADE: Mapping[str, tuple[str, str, str]] = {
    "png": ("PNG", "image/png", "png"),
    "csv": ("CSV", "text/csv; charset=utf-8", "csv"),
    "seg": ("DICOM SEG", "application/dicom", "dcm"),
}
"""Kind -> what the link says, media type, ending of the file."""


def row(finds: Sequence[Found], space: Workspace) -> tuple[Row, ...]:
    """The row with the links. They answer with what is found now; nothing is made before one of them is followed."""
    parts = []
    for one in finds:
        if one.prediction.refused:
            continue
        title = f"{naming.outlined(one.card)}: " if len(finds) > 1 else ""
        parts.append(_safe(title) + links([one], space))
    return (("Save", Drawing("<br>".join(parts))),) if parts else ()


def links(finds: Sequence[Found], space: Workspace) -> str:
    """Links for what one model found on one image, or on several frames of one series."""
    first = finds[0]
    key = ("findings", tuple(one.image.digest for one in finds), first.card.ref.hash)
    space.saves[key] = tuple(finds)  # the reader may correct more before he saves
    shown = any(one.shown for one in finds)
    kinds = ["csv", *(["png", "seg"] if shown and len(finds) == 1 else [])]
    out = []
    for kind in ("png", "csv", "seg"):
        if kind not in kinds:
            continue
        title, media, ending = _MADE[kind]
        file = f"findings-{first.card.name}-{first.image.digest[:8]}.{ending}"
        token = space.case.give((*key, kind), partial(make, kind, key, space), media, file)
        out.append(f"<a href='{routes.url(token)}' download='{file}'>{title}</a>")
    return " · ".join(out)


def make(kind: str, key: object, space: Workspace, query: Mapping[str, str]) -> bytes:
    """The bytes behind a link.

    Raises:
        BadRequest: nothing is outlined.
    """
    finds: tuple[Found, ...] = space.saves[key]
    made: Callable[[tuple[Found, ...]], bytes] = {"png": _png, "csv": _csv, "seg": _seg}[kind]
    return made(finds)


def kept(one: Found) -> Findings:
    """What was found as exports take it: the model's as it left them, those apart that the reader removed, and his own
    beside them.
    """
    theirs = one.prediction.measurements
    own = tuple(measured for measured in one.measured if not any(_same(m, measured) for m in theirs))
    said, removed = one.prediction, one.removed
    if any(region.kind != "box" for region in removed):  # sizes of what is no longer there
        theirs = tuple(m for m in theirs if any(m.name == measured.name for measured in one.measured))
    return Findings(
        one.image,
        tuple(region for region in said.regions if region not in removed),
        tuple(region for region in one.left if by_reader(region)),
        theirs,
        own,
        said.model,
        removed,
        one.fit_for_use,
    )


def _same(model_s: Measurement, shown: Measurement) -> bool:
    """Whether what is shown is the model's own measurement; a reader's has no interval, whatever its value."""
    known = math.isnan(model_s.low) == math.isnan(shown.low)
    return model_s.name == shown.name and known and math.isclose(model_s.value, shown.value)


def _png(finds: tuple[Found, ...]) -> bytes:
    return findings_png(kept(finds[0]), data=naming.licence_mark(finds[0].card))


def _csv(finds: tuple[Found, ...]) -> bytes:
    return findings_csv(kept(one) for one in finds).encode("utf-8")


def _seg(finds: tuple[Found, ...]) -> bytes:
    return series_to_dicom_seg([kept(one) for one in finds])


def _safe(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
