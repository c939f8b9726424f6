"""What became of the jobs of a multirun: each leaves a note, and one that was killed cannot change it."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from merec.errors import InputError
from merec.files import write_json

log = logging.getLogger(__name__)

_KILLED = "it was killed while it ran (out of memory?)"


@dataclass(frozen=True)
class Jobs:
    """Notes that jobs leave, by number, wherever they run.

    Attributes:
        notes: The folder they lie in, which every machine that runs a job sees.
        begun: Jobs that an earlier round began; they are not begun again.
    """

    notes: Path
    begun: frozenset[int] = frozenset()

    @contextmanager
    def note(self, number: int, folder: Path) -> Iterator[None]:
        """Keep an error of a job from the other jobs, and note it; a job that ends well has no reason noted.

        Args:
            number: Of the job.
            folder: Its run folder.
        """
        self._write(number, str(folder), _KILLED)
        try:
            yield
        except Exception as error:
            known = isinstance(error, InputError)
            reason = " ".join(str(error).split()) or "no reason"
            reason = reason if known else f"{type(error).__name__}: {reason}"
            log.error("%s: %s", folder, reason, exc_info=None if known else error)
            self._write(number, str(folder), reason)
        else:
            self._write(number, str(folder), None)

    def note_lost(self, number: int, name: str, log_file: Path) -> None:
        """Note a job that gave no result.

        Args:
            number: Of the job.
            name: What to call it if it did not even begin.
            log_file: What it said to the launcher.
        """
        folder, reason = self._read().get(number, (name, "it was killed before it began"))
        self._write(number, folder, f"{reason or 'its result was lost'}; see {log_file}")

    def find_begun(self) -> "Jobs":
        """The same notes, for a round without the jobs that have left one."""
        return Jobs(self.notes, frozenset(self._read()))

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
