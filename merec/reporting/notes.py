"""Collection of the warnings during a report, for its page."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class Notes(list[str]):
    """Warnings without duplicates."""


class _Collector(logging.Handler):
    """Logging handler that stores each warning once."""

    def __init__(self, notes: Notes):
        super().__init__(logging.WARNING)
        self.notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        """Store the text of a warning."""
        text = record.getMessage()
        if text not in self.notes:
            self.notes.append(text)


@contextmanager
def collect_warnings() -> Iterator[Notes]:
    """Collect all warnings that merec logs in the `with` block; they are still logged as usual."""
    notes = Notes()
    collector = _Collector(notes)
    logger = logging.getLogger("merec")
    logger.addHandler(collector)
    try:
        yield notes
    finally:
        logger.removeHandler(collector)
