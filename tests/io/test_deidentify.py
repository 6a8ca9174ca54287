"""Names as people write them."""

from __future__ import annotations

import pytest

from medimg_core.io import display_name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Example^Ada", "Example, Ada"),
        ("Example^Ada^Maria^Dr.^MD", "Example, Ada Maria Dr. MD"),
        ("Example", "Example"),
        ("^Ada", "Ada"),
        ("Example^^^^", "Example"),
        ("", ""),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou (山田 太郎; やまだ たろう)"),
        ("=山田^太郎", "山田, 太郎"),
        ("<script>alert(1)</script>^x", "<script>alert(1)</script>, x"),
    ],
)
def test_display_name(name, shown):
    assert display_name(name) == shown
