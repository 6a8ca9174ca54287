"""The vocabulary: frozen values that travel between the parts. Nothing here imports anything of ours.

Arrays are made read-only on construction, so that a value can be cached, shared between sessions and
compared by its hash without a copy. No type in this module has a field for a name, an ID or a date.
"""

from medimg_core.types.answers import (
    GateVerdict,
    Interval,
    Measurement,
    ModelRef,
    OperatingPoint,
    Prediction,
    Region,
    SaliencyMap,
    Statement,
)
from medimg_core.types.images import (
    Fit,
    FloatArray,
    Image,
    InputSpec,
    MaskArray,
    MrSequence,
    Normalisation,
    PixelArray,
    Spacing,
    VoiFunction,
    VoiLut,
    Window,
)
from medimg_core.types.studies import Failure, Mark, Note, PatientHeader, Segmentation, Series, Study

__all__ = [
    "Failure",
    "Fit",
    "FloatArray",
    "GateVerdict",
    "Image",
    "InputSpec",
    "Interval",
    "Mark",
    "MaskArray",
    "Measurement",
    "ModelRef",
    "MrSequence",
    "Normalisation",
    "Note",
    "OperatingPoint",
    "PatientHeader",
    "PixelArray",
    "Prediction",
    "Region",
    "SaliencyMap",
    "Segmentation",
    "Series",
    "Spacing",
    "Statement",
    "Study",
    "VoiFunction",
    "VoiLut",
    "Window",
]
