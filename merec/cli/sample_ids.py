"""Ids of samples on the command line."""

from collections.abc import Sequence

from merec.errors import InputError


def find_rows(samples: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return the row of each sample, each once.

    Args:
        samples: Ids that were given.
        names: Ids of the corpus.

    Raises:
        InputError: If there is no such sample; with the nearest ids.
    """
    for sample in samples:
        if sample not in names:
            from difflib import get_close_matches

            alike = [name for name in names if name.casefold() == sample.casefold()]
            if alike:
                raise InputError(f"there is no sample {sample}; did you mean {alike[0]}?")
            near = get_close_matches(sample, names, n=3) or names[:3]
            raise InputError(f"there is no sample {sample}; there are {', '.join(near)}, …")
    return [names.index(sample) for sample in dict.fromkeys(samples)]
