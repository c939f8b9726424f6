"""Notice on personal data for exported features."""


def describe_origin(content: str, corpus: str) -> str:
    """Return the notice on personal data of an export.

    Args:
        content: Plural noun for the exported data, e.g. `flow maps`.
        corpus: Name of the corpus.
    """
    return (
        f"These {content} are derived from the faces of {corpus}. Where these are people, they are personal "
        "data, and the licence of the data set applies to them as to its videos: do not pass them on or "
        "publish them unless it says so.\n"
    )
