"""Outcome of the jobs of a multirun: each leaves a note, and one that was killed cannot change it."""

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
    """Notes that jobs leave, by number, wherever they run.

    Attributes:
        notes: The folder they lie in, which every machine that runs a job sees.
        begun: Jobs that an earlier round began; they are not begun again.
        total: Number of jobs; 0 if that is not known.
        varied: Keys that differ between them.
        started: When the first was begun, s since 1970.
    """

    notes: Path
    begun: frozenset[int] = frozenset()
    total: int = 0
    varied: tuple[str, ...] = ()
    started: float = field(default_factory=time.time)

    def announce(self, number: int, overrides: Sequence[str]) -> None:
        """Log which job begins, and once others have ended about how long all will take.

        Args:
            number: Number of the job, from 0.
            overrides: All of its overrides.
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
        """Keep an error of a job from the other jobs, and note it; a job that ends well has no reason noted.

        Args:
            number: Number of the job.
            folder: Its run folder.
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
        """Note a job that gave no result.

        Args:
            number: Number of the job.
            name: What to call it if it did not even begin.
            log_file: What it said to the launcher.
        """
        folder, reason = self._read().get(number, (name, "it was killed before it began"))
        self._write(number, folder, f"{reason or 'its result was lost'}; see {log_file}")

    def find_begun(self) -> "Jobs":
        """Return the same notes, for a round without the jobs that have left one."""
        return replace(self, begun=frozenset(self._read()))

    def assert_finished(self) -> None:
        """Check that every job ended well.

        Raises:
            InputError: Naming the jobs that did not, a line each.
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
        """Folder and reason of each job, by its number."""
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
