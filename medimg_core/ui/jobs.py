"""Long work beside the page: a few threads for the whole process, progress that a page can ask for, cancelling."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from medimg_core.errors import Cancelled
from medimg_core.explain.registry import Progress

# Two threads: LiteRT interpreters overlap, and more would starve the sessions that only look.
_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="medimg-job")
# What a reader waits for does not queue behind maps, his own or those of another session.
_waited_for = ThreadPoolExecutor(max_workers=2, thread_name_prefix="medimg-waited-for")


@dataclass(slots=True, eq=False)
class Job:
    """One piece of long work.

    Attributes:
        group: what it belongs to; the page Explainability shows and stops `maps` alone, and all images of a study give
            way to the `series` that a reader waits for.
        share: how much is done, 0 to 1.
        result: what the work returned; None while it runs.
        error: what it raised; `Cancelled` when the user stopped it.
        reference: under which a failure was logged, for who asks for the result.
    """

    title: str
    group: str = ""
    share: float = 0.0
    result: Any = None
    error: BaseException | None = None
    reference: str = ""
    done: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)

    def progress(self, share: float) -> None:
        """For the work to call between its steps; raises `Cancelled` when the user stopped it."""
        if self.stopped.is_set():
            raise Cancelled
        self.share = share


class Jobs:
    """The work of one session, by key: the same work is never started twice."""

    def __init__(self) -> None:
        self._jobs: dict[Hashable, Job] = {}

    def get(self, key: Hashable) -> Job | None:
        """The job of a key, running or done."""
        return self._jobs.get(key)

    def start(
        self, key: Hashable, title: str, work: Callable[[Progress], Any], group: str = "", *, waited_for: bool = False
    ) -> Job:
        """Start work unless it was started before.

        Args:
            waited_for: a reader can do nothing before it is done.
        """
        if key in self._jobs:
            return self._jobs[key]
        job = self._jobs[key] = Job(title, group)
        (_waited_for if waited_for else _pool).submit(_run, job, work)
        return job

    def running(self, group: str | None = None) -> list[Job]:
        """Jobs that are not done, of one group or of all, in the order of their start."""
        return [job for job in list(self._jobs.values()) if not job.done.is_set() and group in (None, job.group)]

    def give_way(self, group: str) -> None:
        """Wait for work of a group that has begun, for other work to call between its steps. Work that has not begun
        may wait for this very thread.
        """
        for job in self.running(group):
            if job.share > 0:
                job.done.wait()

    def stop(self, group: str | None = None) -> None:
        """Ask running jobs to stop, of one group or all; each ends at its next step."""
        for job in self.running(group):
            job.stopped.set()

    def forget(self, key: Hashable) -> None:
        """Let a stopped or failed job be started again."""
        self._jobs.pop(key, None)

    def clear(self) -> None:
        """Stop everything and forget it."""
        self.stop()
        self._jobs.clear()


def _run(job: Job, work: Callable[[Progress], Any]) -> None:
    try:
        job.progress(0.0)
        job.result = work(job.progress)
        job.share = 1.0
    except BaseException as error:
        job.error = error
    finally:
        job.done.set()
