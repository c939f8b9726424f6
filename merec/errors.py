"""Errors that the user can correct; this module imports nothing, so that `merec --help` is fast."""


class InputError(ValueError):
    """Error that the user can correct; the message gives the problem, the expectation and the remedy.

    The command line prints it as one line without a traceback (set HYDRA_FULL_ERROR=1 to see one).
    """


class StopError(InputError):
    """Error that affects all samples or folds: full disk, missing permission or missing model."""


class DiskError(StopError, OSError):
    """A file cannot be written for a reason that concerns its whole folder, e.g. a full disk.

    It is an `OSError` too, with the `errno` and `strerror` of its cause.
    """

    def __init__(self, message: str, cause: OSError):
        super().__init__(message)
        self.errno, self.strerror = cause.errno, cause.strerror

    def __str__(self) -> str:
        return str(self.args[0])


def quote_error(error: BaseException, most: int = 200) -> str:
    """Return the message of a library's error in one line of at most `most` characters, or its type."""
    text = " ".join(str(error).split()) or type(error).__name__
    if "allow_pickle" in text:  # numpy's advice would run what the file holds
        text = "it holds something else than arrays of numbers and texts"
    return text if len(text) <= most else f"{text[: most - 1]}…"
