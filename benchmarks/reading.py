"""Reading a film of 1024 x 1024, 12 bit, through the confined worker against bare pydicom in the same process."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pydicom
from PIL import Image as Picture
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from benchmarks.inputs import dicom, png
from benchmarks.rows import Row, median_ms
from medimg_core.io import read_file, shutdown, warm_up

TOPIC = "reading (confined process, judged first, identifying attributes removed)"
SYNTAXES = {
    "uncompressed": ExplicitVRLittleEndian,
    "RLE": RLELossless,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
}


def rows() -> list[Row]:
    warm_up()
    found = []
    for name, syntax in SYNTAXES.items():
        data = dicom(syntax)
        ours = median_ms(lambda data=data: read_file(data))
        theirs = median_ms(lambda data=data: pydicom.dcmread(BytesIO(data)).pixel_array)
        found.append(Row(TOPIC, f"DICOM, {name}", ours, "ms", "bare pydicom", theirs))
    data = png()
    theirs = median_ms(lambda: np.asarray(Picture.open(BytesIO(data))))
    found.append(Row(TOPIC, "PNG", median_ms(lambda: read_file(data)), "ms", "bare Pillow", theirs))
    shutdown()
    return found
