"""What people upload by mistake, made from real pictures: films inverted, turned, cut, doubled, on a screen.

Every maker takes a `Draw` (a generator and the shelves) and returns uint8 `[side, side, 3]`, the display values that
`imaging.model_grid` would give. `disturb` then varies exposure, sharpness and noise in the same way for all classes,
so that no class can be told by the way it was made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
_LAYOUTS = ((1, 2), (1, 2), (2, 1), (2, 1), (2, 2), (1, 3))
"""Rows and columns of a picture that holds several."""
_WORDS = ("Name", "File", "Edit", "View", "Open", "Help", "Series 1", "W 1500 L -600", "Report", "the and of", "12:45")


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
        # not_medical holds one or two medical pictures of a class: a tenth, or they would be learnt by heart.
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


def _jitter(draw: Draw, reach: float) -> tuple[float, float, float, float]:
    """A box near the whole source: each edge up to `reach` inside, or up to half of that outside."""
    edges = draw.rng.uniform(-reach / 2, reach, 4)
    return float(edges[0]), float(edges[1]), float(1 - edges[2]), float(1 - edges[3])


def _border(draw: Draw) -> int:
    return int(draw.rng.choice([0, 0, 0, 20, 128, 255]))


def frontal(draw: Draw, angle: float | None = None) -> Picture:
    """A whole frontal film: a little turned, shifted and stretched, its lungs in the picture."""
    picture, mask = draw.film()
    turn = float(draw.rng.normal(0, 4.0)) if angle is None else angle
    for reach in (0.16, 0.10, 0.05):
        matrix = window(draw.side, _jitter(draw, reach if mask is not None else reach / 2), turn, draw.chance(0.5))
        if mask is None or lung_share(mask, matrix, draw.side) >= LUNG_WHOLE:
            break
    out = warp(picture, matrix, draw.side, _border(draw))
    if draw.chance(0.10):
        out = _framed(draw, out)
    if draw.chance(0.25):
        _marker(draw, out)
    if draw.chance(0.15):
        _erase(draw, out)
    return colour(out)


def _framed(draw: Draw, picture: Picture) -> Picture:
    """The film inside a plain margin, as a letterboxing viewer saves it."""
    side = draw.side
    rows, columns = (int(side * s) for s in draw.rng.uniform(0.72, 1.0, 2))
    out = np.full_like(picture, int(draw.rng.choice([0, 0, 255, 40])))
    top, left = int(draw.rng.integers(side - rows + 1)), int(draw.rng.integers(side - columns + 1))
    out[top : top + rows, left : left + columns] = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
    return out


def _marker(draw: Draw, picture: Picture) -> None:
    """A side marker or a few letters, in place."""
    text = str(draw.rng.choice(["R", "L", "AP", "PORTABLE", "PA", "R 12"]))
    where = (int(draw.rng.integers(0, draw.side - 12)), int(draw.rng.integers(8, draw.side)))
    shade = int(draw.rng.choice([255, 255, 200, 0]))
    cv2.putText(picture, text, where, cv2.FONT_HERSHEY_SIMPLEX, float(draw.rng.uniform(0.25, 0.6)), (shade,) * 3, 1)


def _erase(draw: Draw, picture: Picture) -> None:
    """A plain box, as a hidden name leaves it, in place."""
    rows, columns = (int(draw.side * s) for s in draw.rng.uniform(0.03, 0.15, 2))
    top, left = int(draw.rng.integers(draw.side - rows)), int(draw.rng.integers(draw.side - columns))
    picture[top : top + rows, left : left + columns] = int(draw.rng.integers(256))


def inverted(draw: Draw) -> Picture:
    """A film with white lungs."""
    return np.asarray(255 - frontal(draw), np.uint8)


def turned(draw: Draw) -> Picture:
    """A film on its side or upside down, most often by exactly a quarter, a half or three quarters."""
    if draw.chance(0.75):
        return frontal(draw, float(draw.rng.choice([90, 180, 270]) + draw.rng.normal(0, 3.0)))
    return frontal(draw, float(draw.rng.uniform(40, 320)))


def cropped(draw: Draw) -> Picture:
    """A part of a film; at most `LUNG_CUT` of the lungs is left, or of the area where nobody outlined them."""
    picture, mask = draw.film()
    for _ in range(20):
        width, height = draw.rng.uniform(0.25, 1.0, 2)
        if draw.chance(0.4):  # a plain half: left, right, upper
            width, height = (
                (draw.rng.uniform(0.35, 0.55), 1.0) if draw.chance(0.6) else (1.0, draw.rng.uniform(0.3, 0.5))
            )
        left, top = draw.rng.random() * (1 - width), draw.rng.random() * (1 - height)
        box = (float(left), float(top), float(left + width), float(top + height))
        matrix = window(draw.side, box, float(draw.rng.normal(0, 3.0)), draw.chance(0.5))
        share = lung_share(mask, matrix, draw.side) if mask is not None else float(width * height) * 1.6
        if share <= LUNG_CUT:
            break
    return colour(warp(picture, matrix, draw.side))


def several(draw: Draw) -> Picture:
    """Two to four pictures in one, the first a film; now and then the others are of another examination."""
    layout = _LAYOUTS[int(draw.rng.integers(len(_LAYOUTS)))]
    out = np.full((draw.side, draw.side, 3), int(draw.rng.choice([0, 0, 255, 60])), np.uint8)
    gap = int(draw.rng.choice([0, 0, 1, 2, 4, 6]))
    rows, columns = draw.side // layout[0], draw.side // layout[1]
    shaped = draw.chance(0.35)  # each keeps its shape inside its cell, as a two-window screen shows them
    for cell in range(layout[0] * layout[1]):
        made = frontal(draw)
        if cell and draw.chance(0.35):
            label = str(draw.rng.choice(["radiograph_other", "radiograph_other", "mammogram", "ct"]))
            made = foreign(draw, label) if draw.chance(0.8) else inverted(draw)
        inner = (rows - gap, columns - gap)
        if shaped:
            inner = (min(inner), min(inner))
        top = (cell // layout[1]) * rows + (rows - inner[0]) // 2
        left = (cell % layout[1]) * columns + (columns - inner[1]) // 2
        out[top : top + inner[0], left : left + inner[1]] = cv2.resize(made, inner[::-1], interpolation=cv2.INTER_AREA)
    return out


def foreign(draw: Draw, label: str) -> Picture:
    """A picture of another class, turned, cut, mirrored; colour ones are grey in half of the cases."""
    picture = draw.other(label)
    width, height = draw.rng.uniform(0.55, 1.15, 2)
    left, top = draw.rng.random(2) * (1 - np.array([width, height]))
    box = (float(left), float(top), float(left + width), float(top + height))
    turn = float(draw.rng.choice([0, 0, 0, 90, 180, 270]) + draw.rng.normal(0, 5.0))
    out = warp(picture, window(draw.side, box, turn, draw.chance(0.5)), draw.side, _border(draw))
    out = colour(out)
    if draw.chance(0.5):
        out = grey(out)
    return np.asarray(255 - out, np.uint8) if draw.chance(0.12) else out


def photo(draw: Draw) -> Picture:
    """A photograph, clouds of coloured noise, or a photograph of a film that lies on something."""
    kind = draw.rng.random()
    if kind < 0.65:
        return foreign(draw, "photo")
    if kind < 0.80:
        return _clouds(draw)
    ground = foreign(draw, "photo") if draw.chance(0.5) else np.full((draw.side,) * 2 + (3,), 30, np.uint8)
    return _laid(draw, ground, frontal(draw))


def _clouds(draw: Draw) -> Picture:
    """Noise with a falling spectrum, grey or coloured: a stand-in for the texture of any scene."""
    side = draw.side
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None]) + 1.0 / side
    spectrum = np.fft.fft2(draw.rng.normal(size=(3, side, side))) / frequency ** draw.rng.uniform(0.3, 2.0)
    noise = np.real(np.fft.ifft2(spectrum)).transpose(1, 2, 0)
    noise = (noise - noise.mean()) / noise.std() * 50 + draw.rng.uniform(60, 190, 3)
    out = np.clip(noise, 0, 255).astype(np.uint8)
    return grey(out) if draw.chance(0.5) else out


def _laid(draw: Draw, ground: Picture, film: Picture) -> Picture:
    """A film seen at an angle on a ground."""
    side = draw.side
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    inset = draw.rng.uniform(0.06, 0.30, (4, 2)).astype(np.float32) * side
    placed = corners + inset * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, placed)
    whole = cv2.warpPerspective(np.full((side, side), 255, np.uint8), matrix, (side, side)) > 127
    tint = draw.rng.uniform(0.75, 1.0, 3)
    shown = cv2.warpPerspective(film, matrix, (side, side)) * tint
    return np.where(whole[..., None], shown, ground).astype(np.uint8)


def document(draw: Draw) -> Picture:
    """A page, a drawing, a chart, a pattern, or a screen with a film in one of its windows."""
    kind = draw.rng.random()
    if kind < 0.45:
        return foreign(draw, "document")
    if kind < 0.75:
        return _screen(draw)
    return _page(draw) if kind < 0.90 else _pattern(draw)


def _shade(draw: Draw) -> tuple[int, int, int]:
    base = int(draw.rng.choice([20, 45, 200, 240, 255]))
    return tuple(int(np.clip(base + v, 0, 255)) for v in draw.rng.integers(-15, 16, 3))  # type: ignore[return-value]


def _screen(draw: Draw) -> Picture:
    """A window with bars, lists and a picture that covers a sixth to half of it."""
    side = draw.side
    out = np.empty((side, side, 3), np.uint8)
    out[:] = _shade(draw)
    inner = frontal(draw) if draw.chance(0.6) else foreign(draw, str(draw.rng.choice(["photo", "ct", "mr"])))
    rows, columns = (int(side * s) for s in draw.rng.uniform(0.4, 0.72, 2))
    top, left = int(draw.rng.integers(4, side - rows)), int(draw.rng.integers(0, side - columns))
    for _ in range(int(draw.rng.integers(1, 5))):  # bars and panels
        x, y = (int(v) for v in draw.rng.integers(0, side, 2))
        wide, high = (
            (side, int(draw.rng.integers(4, 14))) if draw.chance(0.5) else (int(draw.rng.integers(10, 40)), side)
        )
        cv2.rectangle(out, (x if wide != side else 0, y if high != side else 0), (x + wide, y + high), _shade(draw), -1)
    _lines(draw, out, int(draw.rng.integers(5, 25)))
    out[top : top + rows, left : left + columns] = cv2.resize(inner, (columns, rows), interpolation=cv2.INTER_AREA)
    return out


def _lines(draw: Draw, picture: Picture, count: int) -> None:
    for _ in range(count):
        where = (int(draw.rng.integers(-10, draw.side - 10)), int(draw.rng.integers(4, draw.side)))
        size = float(draw.rng.uniform(0.18, 0.4))
        cv2.putText(picture, str(draw.rng.choice(_WORDS)), where, cv2.FONT_HERSHEY_SIMPLEX, size, _shade(draw), 1)


def _page(draw: Draw) -> Picture:
    """Lines of dark marks on a light page, or light on dark; dense enough to read as text at this size."""
    side = draw.side
    out = np.full((side, side, 3), int(draw.rng.integers(215, 256)), np.uint8)
    step, margin = int(draw.rng.integers(3, 9)), int(draw.rng.integers(2, 20))
    for y in range(margin, side - margin, step):
        if draw.chance(0.12):
            continue
        x = margin
        end = side - margin - (int(draw.rng.integers(side // 2)) if draw.chance(0.2) else 0)
        while x < end:
            word = int(draw.rng.integers(2, 12))
            cv2.line(out, (x, y), (min(x + word, end), y), (int(draw.rng.integers(0, 130)),) * 3, max(1, step // 3))
            x += word + int(draw.rng.integers(1, 4))
    return np.asarray(255 - out, np.uint8) if draw.chance(0.2) else out


def _pattern(draw: Draw) -> Picture:
    """Stripes, checks, ramps, discs: what test images are made of."""
    side = draw.side
    y, x = np.mgrid[0:side, 0:side] / side
    turn, waves = draw.rng.uniform(0, np.pi), draw.rng.uniform(0.4, 14)
    along = x * np.cos(turn) + y * np.sin(turn)
    across = x * np.sin(turn) - y * np.cos(turn)
    radius = np.hypot(x - draw.rng.uniform(0.3, 0.7), y - draw.rng.uniform(0.3, 0.7))
    choice = int(draw.rng.integers(5))
    field = (
        along,
        np.sin(2 * np.pi * waves * along) / 2 + 0.5,
        (np.sin(2 * np.pi * waves * along) * np.sin(2 * np.pi * waves * across) > 0).astype(float),
        (radius < draw.rng.uniform(0.1, 0.45)).astype(float),
        draw.rng.random((side, side)) * 0.6 + radius * 0.4,
    )[choice]
    low, high = draw.rng.uniform(0, 90, 3), draw.rng.uniform(130, 255, 3)
    out = np.clip(low + (high - low) * field[..., None], 0, 255).astype(np.uint8)
    return grey(out) if draw.chance(0.6) else out


def disturb(draw: Draw, picture: Picture) -> Picture:
    """Exposure, contrast, sharpness, noise, a faint tint; the same for every class."""
    rng = draw.rng
    levels = np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.25))
    levels = np.clip((levels - 0.5) * np.exp(rng.normal(0, 0.2)) + 0.5 + rng.normal(0, 0.08), 0, 1)
    out = np.asarray(cv2.LUT(picture, np.rint(levels * 255).astype(np.uint8)), np.uint8)
    if draw.chance(0.30):
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.4, 1.6))), np.uint8)
    if draw.chance(0.25):
        noise = rng.normal(0, rng.uniform(1, 9), out.shape[:2])[..., None]
        out = np.clip(out + noise, 0, 255).astype(np.uint8)
    if draw.chance(0.04):
        out = (out * rng.uniform(0.8, 1.0, 3)).astype(np.uint8)
    return out


_MAKERS: Mapping[str, Callable[[Draw], Picture]] = {
    "chest_frontal": frontal,
    "chest_inverted": inverted,
    "chest_turned": turned,
    "chest_cropped": cropped,
    "chest_several": several,
    "photo": photo,
    "document": document,
}


def make(draw: Draw, label: str) -> Picture:
    """A disturbed picture of a class: uint8 `[side, side, 3]`."""
    maker = _MAKERS.get(label)
    return disturb(draw, maker(draw) if maker else foreign(draw, label))


def make_plain(draw: Draw, name: str) -> Picture:
    """A picture for measuring, undisturbed: a class, or `photographed_film`, `screen`, `page`, `pattern`, `clouds`."""
    if name == "photographed_film":
        return _laid(draw, foreign(draw, "photo"), frontal(draw))
    plain = {"screen": _screen, "page": _page, "pattern": _pattern, "clouds": _clouds}
    return (plain.get(name) or _MAKERS[name])(draw)
