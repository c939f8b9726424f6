"""Corrections for launchers of several jobs: early exit and messages."""

import contextlib
from collections.abc import Iterator

from hydra.core.utils import JobReturn, JobStatus

from merec.cli.jobs import Jobs

LAUNCHERS = (
    "hydra_plugins.hydra_joblib_launcher._core",
    "hydra._internal.core_plugins.basic_launcher",
)


@contextlib.contextmanager
def wait_for_lost_jobs(jobs: Jobs) -> Iterator[None]:
    """Make submitit's launcher wait for every job; by default it exits at the first job without result."""
    try:
        from submitit import Job
        from submitit.core.utils import UncompletedJobError
    except ImportError:
        yield
        return
    wait = Job.results

    def wait_for_any(job: Job) -> list[JobReturn]:
        try:
            return wait(job)
        except UncompletedJobError:
            overrides, _, number, *_ = job.submission().args
            jobs.note_lost(number, " ".join(overrides), job.paths.stderr)
            return [JobReturn(status=JobStatus.COMPLETED)]

    Job.results = wait_for_any  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Job.results = wait  # type: ignore[method-assign]


def explain_launcher(error: RuntimeError) -> str | None:
    """Explain in one line why a launcher is missing or fails to start jobs; `None` for other errors."""
    text = " ".join(str(error).split())
    if "Unknown plugin class" in text:
        return f"this launcher is not installed ({text}); pip install 'merec[cluster]'"
    if "srun" in text:
        return (
            "there is no SLURM here: srun is not found; give the command on a login node of the cluster, or "
            "take hydra/launcher=submitit_local"
        )
    if type(error).__module__.startswith("submitit."):
        return f"no job was started: {text}"
    return None
