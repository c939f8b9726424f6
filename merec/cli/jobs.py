"""Outcome of the jobs of a multirun, which each job records in a note."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from merec.errors import InputError
from merec.files import write_json
from merec.run_folder import RunFolder
from merec.tracebacks import describe_mistake, format_traceback, tracebacks

log = logging.getLogger(__name__)

_KILLED = "it was killed while it ran (out of memory?)"


@dataclass(frozen=True)
class Jobs:
    """Progress of the jobs of a sweep; each job, on any machine, writes a small file into a shared folder.

    Attributes:
        notes: Folder of the notes, shared by all machines that run jobs.
        begun: Jobs that were started in an earlier round, which are not started again.
        total: Number of jobs; 0 if unknown.
        varied: Keys that differ between jobs.
        started: Start time of the first job, s since 1970.
    """

    notes: Path
    begun: frozenset[int] = frozenset()
    total: int = 0
    varied: tuple[str, ...] = ()
    started: float = field(default_factory=time.time)

    def announce(self, number: int, overrides: Sequence[str]) -> None:
        """Log the start of a job, and an estimate of the remaining time after the first job.

        Args:
            number: Number of the job, from 0.
            overrides: Overrides of the job.
        """
        ended = sum(reason != _KILLED for _, reason in self._read().values())
        left = ""
        if ended and self.total:
            seconds = (time.time() - self.started) / ended * (self.total - ended)
            left = f"; about {_describe_time(seconds)} left for all"
        of = f" of {self.total}" if self.total else ""
        varied = [text for text in overrides if text.partition("=")[0] in self.varied]
        log.info("job %d%s: %s%s", number + 1, of, " ".join(varied), left)

    @contextmanager
    def note(self, number: int, folder: Path) -> Iterator[None]:
        """Catch an error of a job in a `with` block and write the note; the reason is empty after success.

        Args:
            number: Number of the job.
            folder: Run folder of the job.
        """
        self._write(number, str(folder), _KILLED)
        try:
            yield
        except Exception as error:
            reason = describe_mistake(error)
            log.error("%s: %s", folder, reason)
            if trace := format_traceback(error):
                tracebacks.error("%s:\n%s", folder, trace)
                reason += f"; its traceback is in {RunFolder(folder).log}"
            self._write(number, str(folder), reason)
        else:
            self._write(number, str(folder), None)

    def note_lost(self, number: int, name: str, log_file: Path) -> None:
        """Write the note of a job without result.

        Args:
            number: Number of the job.
            name: Name of the job if it did not start.
            log_file: Log file of the launcher.
        """
        folder, reason = self._read().get(number, (name, "it was killed before it began"))
        self._write(number, folder, f"{reason or 'its result was lost'}; see {log_file}")

    def find_begun(self) -> "Jobs":
        """Return the notes for a further round, which skips the jobs that have a note."""
        return replace(self, begun=frozenset(self._read()))

    def assert_finished(self) -> None:
        """Check that every job succeeded.

        Raises:
            InputError: If not; the message has one line per failed job.
        """
        ends = sorted(self._read().items())
        failed = [f"{folder}: {reason}" for _, (folder, reason) in ends if reason]
        if failed:
            raise InputError(
                f"{len(failed)} of {len(ends)} jobs failed; what is finished is kept, and the same command "
                "goes on with these:" + "".join(f"\n  {line}" for line in failed)
            )

    def _write(self, number: int, folder: str, reason: str | None) -> None:
        write_json(self.notes / f"{number}.json", {"folder": folder, "reason": reason})

    def _read(self) -> dict[int, tuple[str, str | None]]:
        """Return folder and failure reason of each job, by number."""
        notes: dict[int, Any] = {
            int(file.stem): json.loads(file.read_text(encoding="utf-8"))
            for file in self.notes.glob("[0-9]*.json")
        }
        return {number: (note["folder"], note["reason"]) for number, note in notes.items()}


def _describe_time(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
