from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from medimg_core.workflows.cache import ByteCache


def test_what_was_used_longest_ago_leaves_first() -> None:
    cache: ByteCache[str, bytes] = ByteCache(10, len)
    cache.put("a", b"1234")
    cache.put("b", b"1234")
    assert cache.get("a") == b"1234"
    cache.put("c", b"1234")
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (b"1234", None, b"1234")
    assert (len(cache), cache.nbytes) == (2, 8)


def test_a_value_in_place_of_another_is_counted_once() -> None:
    cache: ByteCache[str, bytes] = ByteCache(10, len)
    cache.put("a", b"12345678")
    cache.put("a", b"12")
    assert (cache.get("a"), cache.nbytes) == (b"12", 2)


def test_a_value_above_the_limit_is_not_kept() -> None:
    cache: ByteCache[str, bytes] = ByteCache(3, len)
    cache.put("a", b"1234")
    assert (cache.get("a"), len(cache), cache.nbytes) == (None, 0, 0)


def test_a_value_at_the_limit_is() -> None:
    cache: ByteCache[str, bytes] = ByteCache(4, len)
    cache.put("a", b"1234")
    assert cache.get("a") == b"1234"


def test_clearing_frees_all() -> None:
    cache: ByteCache[str, bytes] = ByteCache(10, len)
    cache.put("a", b"1234")
    cache.clear()
    assert (len(cache), cache.nbytes) == (0, 0)


def test_many_threads_keep_the_count() -> None:
    cache: ByteCache[int, bytes] = ByteCache(100, len)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda i: cache.put(i % 50, b"x" * (i % 7)), range(2000)))
    assert cache.nbytes == sum(len(value) for i in range(50) if (value := cache.get(i)) is not None) <= 100
