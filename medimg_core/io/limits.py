"""What reading one file or one archive may cost. Everything is judged against these before it is allocated."""

from __future__ import annotations

from typing import Final

MAX_FILE_BYTES: Final = 1 << 30
"""Largest file, and largest member of an archive, as given."""

MAX_FRAME_PIXELS: Final = 120_000_000
"""Largest rows x columns of one frame; the largest films (stitched spine, mammography) have about 50 million."""

MAX_FRAMES: Final = 10_000
"""Most frames in one file."""

MAX_DECODED_BYTES: Final = 2 << 30
"""Largest sum of all decoded frames of one file, in the form in which `Image` keeps them."""

MAX_SEGMENTS: Final = 1_000
"""Most segments of one segmentation; atlases of the whole body have a few hundred."""

MAX_MASK_BYTES: Final = 1 << 30
"""Largest sum of the masks of one segmentation, one byte a pixel."""

MAX_STUDY_BYTES: Final = 3 << 30
"""Largest sum of all decoded images of one drop."""

DEFLATED_FREE_BYTES: Final = 32 << 20
"""A deflated data set may always inflate to this size..."""

DEFLATED_RATIO: Final = 50
"""...and beyond it to this many times its compressed size: real images inflate two to ten times."""

MEMBER_FREE_BYTES: Final = 256 << 20
"""The same for a member of an archive, where uncompressed masks of a whole volume are usual."""

MEMBER_RATIO: Final = 100

MAX_ARCHIVE_MEMBERS: Final = 20_000
MAX_ARCHIVE_BYTES: Final = 4 << 30
"""Largest sum of the inflated sizes of an archive's members."""

WORKER_MEMORY_BYTES: Final = 3 << 30
"""Address space of a decoding process (RLIMIT_AS)."""

FRAME_SECONDS: Final = 20.0
"""Longest wait for the next frame of a file."""

FILE_SECONDS: Final = 180.0
"""Longest time for all frames of a file."""


def largest_data_set(compressed: int) -> int:
    """The size in bytes to which a deflated data set of `compressed` bytes may inflate."""
    return min(MAX_FILE_BYTES, max(DEFLATED_FREE_BYTES, DEFLATED_RATIO * compressed))


def largest_member(compressed: int) -> int:
    """The size in bytes to which an archive's member of `compressed` bytes may inflate."""
    return min(MAX_FILE_BYTES, max(MEMBER_FREE_BYTES, MEMBER_RATIO * compressed))
