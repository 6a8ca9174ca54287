"""What a reader drew and saw in the viewer, as frozen types. What comes from a browser is checked before it is used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from medimg_core.types import Image, Region

Kind = Literal["length", "angle", "ellipse", "rectangle", "box"]
_POINTS: Mapping[str, int] = {kind: 3 if kind == "angle" else 2 for kind in get_args(Kind)}
_MOST = 500


@dataclass(frozen=True, slots=True)
class Annotation:
    """One measurement.

    Attributes:
        image: index among the images that were given to the viewer.
        points: (x, y) in pixels from the outer corner of the first pixel; of an angle the corner is the second.
            Ellipse, rectangle and box: two opposite corners of what surrounds them.
    """

    kind: Kind
    image: int
    points: tuple[tuple[float, float], ...]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """`(x0, y0, x1, y1)` around all points."""
        xs, ys = zip(*self.points, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def region(self, label: str) -> Region:
        """The box around it as a region, for questions about that part of the image."""
        return Region("box", label, 1.0, self.box)


@dataclass(frozen=True, slots=True)
class ViewState:
    """What the active pane showed when the last measurement was finished.

    Attributes:
        image: index among the images that were given.
        centre, width: the window in modality units.
        zoom: 1 shows the whole image.
        x, y: the place of the image in the middle of the pane, 0 to 1.
        turn: quarter turns clockwise, after mirroring where `flip`.
    """

    image: int
    centre: float
    width: float
    zoom: float = 1.0
    x: float = 0.5
    y: float = 0.5
    turn: int = 0
    flip: bool = False
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class Viewed:
    """What the viewer hands back.

    Attributes:
        at: index of the image that the reader rests on, among those given; None before he scrolled.
    """

    annotations: tuple[Annotation, ...] = ()
    view: ViewState | None = None
    at: int | None = None

    @property
    def boxes(self) -> tuple[Annotation, ...]:
        """The boxes among the annotations."""
        return tuple(mark for mark in self.annotations if mark.kind == "box")


def read(told: Any, images: Sequence[Image], at: Any = None) -> Viewed:
    """The browser's state as types. What does not fit the images is left out: nothing in it can be trusted.

    Args:
        told: measurements and view.
        at: the image that the reader rests on.
    """
    rests = _index(at, images)
    if not isinstance(told, Mapping):
        return Viewed(at=rests)
    marks = told.get("marks")
    listed = marks[:_MOST] if isinstance(marks, list) else []
    found = (_annotation(mark, images) for mark in listed if isinstance(mark, Mapping))
    return Viewed(tuple(mark for mark in found if mark is not None), _view(told.get("view"), images), rests)


def _annotation(mark: Mapping[str, Any], images: Sequence[Image]) -> Annotation | None:
    kind, image, points = mark.get("kind"), _index(mark.get("image"), images), mark.get("points")
    if not isinstance(kind, str) or kind not in _POINTS or image is None:
        return None
    if not isinstance(points, list) or len(points) != _POINTS[kind]:
        return None
    rows, columns = images[image].shape
    pairs = [(_number(p[0]), _number(p[1])) for p in points if isinstance(p, list) and len(p) == 2]
    inside = [(x, y) for x, y in pairs if x is not None and y is not None and 0 <= x <= columns and 0 <= y <= rows]
    if len(inside) != len(points):
        return None
    return Annotation(cast(Kind, kind), image, tuple(inside))


def _view(view: Any, images: Sequence[Image]) -> ViewState | None:
    if not isinstance(view, Mapping) or (image := _index(view.get("image"), images)) is None:
        return None
    centre, width, zoom, x, y, turn = (
        _number(view.get(name)) for name in ("centre", "width", "zoom", "x", "y", "turn")
    )
    if centre is None or width is None or zoom is None or x is None or y is None or turn is None:
        return None
    flip, inverted = bool(view.get("flip")), bool(view.get("inverted"))
    return ViewState(image, centre, width, zoom, x, y, int(turn) % 4, flip, inverted)


def _index(value: Any, images: Sequence[Image]) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number == int(number) and 0 <= number < len(images) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)
