from __future__ import annotations

import threading

from medimg_core.errors import Cancelled
from medimg_core.explain.registry import Progress
from medimg_core.ui.jobs import Jobs


def test_a_job_runs_once_and_reports_its_share() -> None:
    jobs, half, go = Jobs(), threading.Event(), threading.Event()

    def work(progress: Progress) -> str:
        progress(0.5)
        half.set()
        go.wait(10)
        return "map"

    job = jobs.start("a", "Score-CAM", work)
    assert half.wait(10)
    assert job.share == 0.5
    assert jobs.start("a", "Score-CAM", work) is job
    assert jobs.running() == [job]
    go.set()
    assert job.done.wait(10)
    assert (job.result, job.share, jobs.running()) == ("map", 1.0, [])


def test_stopping_ends_a_job_at_its_next_step() -> None:
    jobs, started = Jobs(), threading.Event()

    def work(progress: Progress) -> None:
        started.set()
        while True:
            progress(0.1)

    job = jobs.start("a", "Occlusion", work)
    assert started.wait(10)
    jobs.stop()
    assert job.done.wait(10)
    assert isinstance(job.error, Cancelled)


def test_a_failure_is_kept_for_who_asks_and_can_be_tried_again() -> None:
    jobs = Jobs()

    def work(_: Progress) -> None:
        raise ValueError("x")

    job = jobs.start("a", "SmoothGrad", work)
    assert job.done.wait(10)
    assert isinstance(job.error, ValueError)
    jobs.forget("a")
    assert jobs.get("a") is None


def test_what_a_reader_waits_for_does_not_queue_behind_maps() -> None:
    jobs, go = Jobs(), threading.Event()
    maps = [jobs.start(i, "Occlusion", lambda _: go.wait(30)) for i in range(4)]
    reading = jobs.start("reading", "Reading", lambda _: "read", waited_for=True)
    assert reading.done.wait(10)
    assert not any(job.done.is_set() for job in maps)
    go.set()
    assert all(job.done.wait(10) for job in maps)
