"""One small pool for all reading tests, ended with the session."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from medimg_core.errors import OutlinesOnly
from medimg_core.io import FileResult, Pool, read_file
from medimg_core.types import Image, Segmentation


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    shared = Pool()
    yield shared
    shared.close()


@pytest.fixture
def read(pool: Pool) -> Callable[[bytes], FileResult]:
    """Read the bytes of one file through a decoding process."""
    return lambda data: read_file(data, pool=pool)


@pytest.fixture
def only(read: Callable[[bytes], FileResult]) -> Callable[[bytes], Image]:
    """The only image of one file."""

    def image(data: bytes) -> Image:
        result = read(data)
        assert result.error is None, result.error
        (found,) = result.images
        return found

    return image


@pytest.fixture
def segmentation(read: Callable[[bytes], FileResult]) -> Callable[[bytes], Segmentation]:
    """The segmentation of one file that holds one."""

    def found(data: bytes) -> Segmentation:
        result = read(data)
        assert result.segmentation is not None, result.error
        assert isinstance(result.error, OutlinesOnly)
        assert not result.images
        return result.segmentation

    return found
