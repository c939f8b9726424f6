"""The one error that is the user's to mend; it imports nothing, so that `merec --help` stays quick."""


class InputError(ValueError):
    """Something the user can mend: the message says what was found, what was expected, what to do.

    The command line prints it as one line without a traceback (set HYDRA_FULL_ERROR=1 to see one).
    """
