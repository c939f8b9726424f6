"""Warnings that the terminal showed while a report was made, for its page."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class Notes(list[str]):
    """Warnings, each once."""


class _Collector(logging.Handler):
    """A handler that keeps each warning once."""

    def __init__(self, notes: Notes):
        super().__init__(logging.WARNING)
        self.notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text of a warning."""
        text = record.getMessage()
        if text not in self.notes:
            self.notes.append(text)


@contextmanager
def collect_warnings() -> Iterator[Notes]:
    """Yield notes of all warnings that merec logs in the block; they are logged as ever."""
    notes = Notes()
    collector = _Collector(notes)
    logger = logging.getLogger("merec")
    logger.addHandler(collector)
    try:
        yield notes
    finally:
        logger.removeHandler(collector)
