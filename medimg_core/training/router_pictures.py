"""Where the router's training pictures come from, and chest films as they come and as they go wrong.

Every maker takes a `Draw` (a generator and the shelves) and returns uint8 `[side, side, 3]`, the display values that
`imaging.model_grid` would give.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core.training.router_sources import CACHE, FILMS, Shelf

Picture = NDArray[np.uint8]
Matrix = NDArray[np.float64]

LUNG_WHOLE = 0.90
"""A film counts as whole while at least this share of the outlined lungs is in the picture."""
LUNG_CUT = 0.65
"""A film counts as cut when at most this share is left. Between the two nothing is taught."""


@dataclass(slots=True, eq=False)
class Draw:
    """A seeded source of pictures.

    Attributes:
        rng: every choice comes from it.
        shelves: the pictures of one split.
        side: rows and columns of what is made.
    """

    rng: np.random.Generator
    shelves: list[Shelf]
    side: int

    def film(self) -> tuple[Picture, NDArray[np.bool_] | None]:
        """A frontal film and its lung mask; the three sets weigh 40, 35 and 25 %."""
        films = [s for name in FILMS for s in self.shelves if s.data_set == name]
        shelf = films[self.rng.choice(len(films), p=[0.40, 0.35, 0.25])]
        i = int(self.rng.integers(len(shelf.pictures)))
        return shelf.pictures[i], shelf.masks[i]

    def other(self, label: str) -> Picture:
        """A picture of a class that needs no making; each set of the class is as likely as the others."""
        shelves = [s for s in self.shelves if s.label == label]
        # other_model holds one or two pictures of a class: a tenth, or they would be learnt by heart.
        weights = np.array([0.1 if len(s.pictures) < 10 else 1.0 for s in shelves])
        shelf = shelves[self.rng.choice(len(shelves), p=weights / weights.sum())]
        return shelf.pictures[int(self.rng.integers(len(shelf.pictures)))]

    def chance(self, share: float) -> bool:
        """True in this share of calls."""
        return bool(self.rng.random() < share)


def colour(picture: Picture) -> Picture:
    """`[H, W]` or `[H, W, 3]` to `[H, W, 3]`."""
    return np.asarray(cv2.merge([picture] * 3), np.uint8) if picture.ndim == 2 else picture


def grey(picture: Picture) -> Picture:
    """Any picture as three equal channels."""
    return picture if picture.ndim == 2 else colour(np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8))


def window(side: int, box: tuple[float, float, float, float], angle: float = 0.0, flip: bool = False) -> Matrix:
    """The affine map that shows `box` (x0, y0, x1, y1 in shares of the source) on the whole of a `side` square.

    Args:
        angle: the film is turned by so many degrees anticlockwise about the box's centre.
        flip: mirrored left to right.

    Returns:
        float64 `[2, 3]` from cache pixels to picture pixels, as `cv2.warpAffine` takes it.
    """
    x0, y0, x1, y1 = (v * CACHE for v in box)
    scale = np.diag([(-1.0 if flip else 1.0) * side / (x1 - x0), side / (y1 - y0)])
    turn = np.deg2rad(angle)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    linear = rotation @ scale
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    return np.column_stack([linear, side / 2 - linear @ centre])


def warp(picture: Picture, matrix: Matrix, side: int, border: int = 0) -> Picture:
    """Apply a map of `window`; outside the source is `border`. Shrinking below a half averages first."""
    return np.asarray(
        cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LINEAR, borderValue=(border,) * 3), np.uint8
    )


def lung_share(mask: NDArray[np.bool_], matrix: Matrix, side: int) -> float:
    """Which share of the lungs a map leaves in the picture."""
    ys, xs = np.nonzero(mask)
    points = np.column_stack([xs + 0.5, ys + 0.5]) * (CACHE / mask.shape[0])
    placed = points @ matrix[:, :2].T + matrix[:, 2]
    inside = ((placed >= 0) & (placed < side)).all(axis=1)
    return float(inside.mean()) if len(inside) else 0.0


def jitter(draw: Draw, reach: float) -> tuple[float, float, float, float]:
    """A box near the whole source: each edge up to `reach` inside, or up to half of that outside."""
    edges = draw.rng.uniform(-reach / 2, reach, 4)
    return float(edges[0]), float(edges[1]), float(1 - edges[2]), float(1 - edges[3])


def border(draw: Draw) -> int:
    """The shade beside a shifted picture: most often black."""
    return int(draw.rng.choice([0, 0, 0, 20, 128, 255]))


def frontal(draw: Draw, angle: float | None = None) -> Picture:
    """A whole frontal film: a little turned, shifted and stretched, its lungs in the picture."""
    picture, mask = draw.film()
    turn = float(draw.rng.normal(0, 4.0)) if angle is None else angle
    for reach in (0.16, 0.10, 0.05):
        matrix = window(draw.side, jitter(draw, reach if mask is not None else reach / 2), turn, draw.chance(0.5))
        if mask is None or lung_share(mask, matrix, draw.side) >= LUNG_WHOLE:
            break
    out = warp(picture, matrix, draw.side, border(draw))
    if draw.chance(0.10):
        out = framed(draw, out)
    if draw.chance(0.25):
        marker(draw, out)
    if draw.chance(0.15):
        erase(draw, out)
    return colour(out)


def framed(draw: Draw, picture: Picture) -> Picture:
    """The film inside a plain margin, as a letterboxing viewer saves it."""
    side = draw.side
    rows, columns = (int(side * s) for s in draw.rng.uniform(0.72, 1.0, 2))
    out = np.full_like(picture, int(draw.rng.choice([0, 0, 255, 40])))
    top, left = int(draw.rng.integers(side - rows + 1)), int(draw.rng.integers(side - columns + 1))
    out[top : top + rows, left : left + columns] = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
    return out


def marker(draw: Draw, picture: Picture) -> None:
    """A side marker or a few letters, in place."""
    text = str(draw.rng.choice(["R", "L", "AP", "PORTABLE", "PA", "R 12"]))
    where = (int(draw.rng.integers(0, draw.side - 12)), int(draw.rng.integers(8, draw.side)))
    shade = int(draw.rng.choice([255, 255, 200, 0]))
    cv2.putText(picture, text, where, cv2.FONT_HERSHEY_SIMPLEX, float(draw.rng.uniform(0.25, 0.6)), (shade,) * 3, 1)


def erase(draw: Draw, picture: Picture) -> None:
    """A plain box, as a hidden name leaves it, in place."""
    rows, columns = (int(draw.side * s) for s in draw.rng.uniform(0.03, 0.15, 2))
    top, left = int(draw.rng.integers(draw.side - rows)), int(draw.rng.integers(draw.side - columns))
    picture[top : top + rows, left : left + columns] = int(draw.rng.integers(256))


def chest_inverted(draw: Draw) -> Picture:
    """A film with white lungs."""
    return np.asarray(255 - frontal(draw), np.uint8)


def chest_turned(draw: Draw) -> Picture:
    """A film on its side or upside down, most often by exactly a quarter, a half or three quarters."""
    if draw.chance(0.75):
        return frontal(draw, float(draw.rng.choice([90, 180, 270]) + draw.rng.normal(0, 3.0)))
    return frontal(draw, float(draw.rng.uniform(40, 320)))


def chest_cropped(draw: Draw) -> Picture:
    """A part of a film; at most `LUNG_CUT` of the lungs is left, or of the area where nobody outlined them."""
    picture, mask = draw.film()
    for _ in range(20):
        width, height = draw.rng.uniform(0.25, 1.0, 2)
        if draw.chance(0.4):  # a plain half: left, right, upper
            width, height = (
                (draw.rng.uniform(0.35, 0.55), 1.0) if draw.chance(0.5) else (1.0, draw.rng.uniform(0.3, 0.5))
            )
        left, top = draw.rng.random() * (1 - width), draw.rng.random() * (1 - height)
        if draw.chance(0.3):  # from the upper edge on: the part that looks most like a whole film
            top = 0.0
        box = (float(left), float(top), float(left + width), float(top + height))
        matrix = window(draw.side, box, float(draw.rng.normal(0, 3.0)), draw.chance(0.5))
        share = lung_share(mask, matrix, draw.side) if mask is not None else float(width * height) * 1.6
        if share <= LUNG_CUT:
            break
    return colour(warp(picture, matrix, draw.side))
