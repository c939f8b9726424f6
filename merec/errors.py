"""The one error that is the user's to mend; it imports nothing, so that `merec --help` stays quick."""


class InputError(ValueError):
    """Something the user can mend: the message says what was found, what was expected, what to do.

    The command line prints it as one line without a traceback (set HYDRA_FULL_ERROR=1 to see one).
    """


class StopError(InputError):
    """Something that stops all samples or folds and not one: no room, no right to write, no model."""


class DiskError(StopError, OSError):
    """A file that cannot be written, as no other of its folder can be.

    It is an `OSError` too, with the `errno` and `strerror` of its cause.
    """

    def __init__(self, message: str, cause: OSError):
        super().__init__(message)
        self.errno, self.strerror = cause.errno, cause.strerror

    def __str__(self) -> str:
        return str(self.args[0])


def quote_error(error: BaseException, most: int = 200) -> str:
    """Return in one line what an error of a library says, cut after `most` characters; else its type."""
    text = " ".join(str(error).split()) or type(error).__name__
    if "allow_pickle" in text:  # numpy's advice would run what the file holds
        text = "it holds something else than arrays of numbers and texts"
    return text if len(text) <= most else f"{text[: most - 1]}…"
