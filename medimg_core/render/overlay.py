"""A film with its evidence as a picture for reports and files: overlay, outline, absolute colour bar, provenance."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core import __version__
from medimg_core.imaging import to_display
from medimg_core.render.colours import AGAINST, FOR, MID_GREY, OPACITY, QUIET, TEXT, THRESHOLD, WARM, Rgb, blend
from medimg_core.types import FloatArray, Image, SaliencyMap, Window

Picture = NDArray[np.uint8]

DISCLAIMER = "Decision support, not a medical device."

BAR_WIDTH = 78
_SMALLEST, _LARGEST = 384, 1600  # long side of the film in the exported picture, so that 12 px text stays in proportion
_TEXT_PX = 12


def overlay(
    image: Image,
    saliency: SaliencyMap,
    *,
    opacity: float = OPACITY,
    threshold: float = THRESHOLD,
    window: Window | None = None,
    size: tuple[int, int] | None = None,
) -> Picture:
    """The film with its evidence and an outline at the threshold.

    Args:
        threshold: in units of the map's scale; 0 draws no outline.
        window: overrides the film's own.
        size: rows and columns of the result; the source grid when None. Values are interpolated, never colours.

    Returns:
        uint8 RGB.
    """
    film = to_display(image, window)
    values = in_scale(saliency)
    if size is not None and size != image.shape:
        shrink = size[0] < image.shape[0]
        film = resize(film, size, cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
        values = resize(values, size, cv2.INTER_LINEAR)
    out = blend(film, values, opacity, threshold)
    if threshold > 0:
        for sign, ramp in ((1, FOR), (-1, AGAINST)):
            inside = (sign * values >= threshold).astype(np.uint8)
            outline, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            cv2.polylines(out, outline, True, ramp[1], 1, cv2.LINE_AA)
    return out


def in_scale(saliency: SaliencyMap) -> FloatArray:
    """Values in units of the method's scale, float32 `[H, W]`; raw where the scale is not known."""
    return saliency.values / np.float32(saliency.scale) if saliency.scale else saliency.values


def colour_bar(height: int, saliency: SaliencyMap, threshold: float = THRESHOLD, opacity: float = OPACITY) -> Picture:
    """The whole scale over mid grey, this image's maximum as a white line with its value, the threshold as a tick.

    The scale is absolute, from 0 (from -1 for signed maps) to 1.0, whatever this image holds.

    Returns:
        uint8 RGB `[height, 78, 3]` on black.
    """
    bar = np.zeros((height, BAR_WIDTH, 3), np.uint8)
    top, bottom, left, right = 26, height - 18, 14, 28
    lowest = -1.0 if saliency.signed else 0.0
    ramp = np.linspace(1.0, lowest, bottom - top, dtype=np.float32)[:, None].repeat(right - left, axis=1)
    bar[top:bottom, left:right] = blend(np.full(ramp.shape, MID_GREY / 255, np.float32), ramp, opacity)

    def row(value: float) -> int:
        share = (1.0 - min(max(value, lowest), 1.0)) / (1.0 - lowest)
        return top + round(share * (bottom - top - 1))

    peak = saliency.maximum
    marks = [v for v in ((1.0, 0.0, -1.0) if saliency.signed else (1.0, 0.5, 0.0)) if abs(row(v) - row(peak)) > 14]
    for value in marks:
        write(bar, f"{value:.1f}".replace("-", "−"), (right + 8, row(value) + 4), QUIET)
    cv2.line(bar, (left - 4, row(peak)), (right + 4, row(peak)), (255, 255, 255), 1)
    write(bar, f"{peak:.2f}", (right + 8, row(peak) + 4), TEXT)
    if threshold > 0:
        y = row(threshold)
        cv2.fillConvexPoly(bar, np.array([(left - 1, y), (left - 9, y - 5), (left - 9, y + 5)]), WARM, cv2.LINE_AA)
    write(bar, "for" if saliency.signed else "evidence", (left - 8, 16), QUIET)
    if saliency.signed:
        write(bar, "against", (left - 8, height - 2), QUIET)
    return bar


def provenance(image: Image, saliency: SaliencyMap, population: str = "", data: str = "") -> dict[str, str]:
    """What made a map, for the text fields of an exported file; nothing in it identifies a patient.

    Args:
        data: what the data behind the model allow; empty where nothing restricts them.
    """
    model = saliency.model
    fields = {
        "Model": f"{model.name} {model.version} ({model.hash})",
        "Method": saliency.method,
        "Target": saliency.target,
        "Layer": saliency.layer,
        "Scale": "unknown: raw values" if saliency.scale is None else f"1.0 = {saliency.scale:.6g}",
        "Maximum": f"{saliency.maximum:.4f}",
        "Image": image.digest[:16],
        "Population": population,
        "Data": data,
        "Software": f"medimg {__version__}",
        "Time": datetime.now(UTC).isoformat(timespec="seconds"),
        "Note": DISCLAIMER + (" Synthetic film, shows no patient." if image.synthetic else ""),
    }
    return {key: value for key, value in fields.items() if value}


def overlay_png(
    image: Image,
    saliency: SaliencyMap,
    *,
    opacity: float = OPACITY,
    threshold: float = THRESHOLD,
    window: Window | None = None,
    population: str = "",
    data: str = "",
) -> bytes:
    """A PNG to keep: overlay, colour bar, two lines of provenance in the picture and all of it in its text fields."""
    size = export_size(image.shape)
    picture = overlay(image, saliency, opacity=opacity, threshold=threshold, window=window, size=size)
    bar = colour_bar(size[0], saliency, threshold, opacity)
    fields = provenance(image, saliency, population, data)
    state = "No positive evidence" if saliency.empty else f"{saliency.method} for {saliency.target}"
    lines = [
        f"{state} (maximum {saliency.maximum:.2f})" + ("" if saliency.scale else ", raw values: no reference scale"),
        f"{fields['Model']}, image {fields['Image']}",
        " ".join(part for part in (fields["Note"], data) if part),
    ]
    return to_png(with_caption(np.hstack([picture, bar]), lines), fields)


def to_png(picture: Picture, fields: Mapping[str, str]) -> bytes:
    """Encode RGB or grey uint8 as PNG with text fields."""
    from PIL import Image as Pillow
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, value in fields.items():
        info.add_itxt(key, value)
    out = io.BytesIO()
    Pillow.fromarray(picture).save(out, "PNG", pnginfo=info, compress_level=3)
    return out.getvalue()


def export_size(shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of a film in an exported picture, so that its caption stays in proportion."""
    scale = min(max(1.0, _SMALLEST / max(shape)), _LARGEST / max(shape))
    return max(96, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def with_caption(picture: Picture, lines: list[str]) -> Picture:
    """The picture with lines of text below it."""
    step = _TEXT_PX + 6
    strip = np.zeros((step * len(lines) + 10, picture.shape[1], 3), np.uint8)
    for i, line in enumerate(lines):
        write(strip, line, (8, 6 + step * i + _TEXT_PX), TEXT if i == 0 else QUIET)
    return np.vstack([picture, strip])


def write(picture: Picture, text: str, corner: tuple[int, int], colour: Rgb) -> None:
    """Write text in place; `corner` is the left end of its base line (x, y)."""
    room = picture.shape[1] - corner[0] - 4
    font = cv2.FontFace("sans")
    size = _TEXT_PX
    # A long line on a narrow picture is set smaller rather than cut: provenance must be whole.
    while size > 7 and cv2.getTextSize((1, 1), text, (0, 0), font, size)[2] > room:
        size -= 1
    cv2.putText(picture, text, corner, colour, font, size, 400, cv2.PUT_TEXT_ALIGN_LEFT, (0, 1_000_000))


def resize(values: FloatArray, size: tuple[int, int], interpolation: int) -> FloatArray:
    """Values on another grid of rows and columns; `interpolation` is one of OpenCV's."""
    return np.asarray(cv2.resize(values, size[::-1], interpolation=interpolation), np.float32)
