"""One independent random stream for each thing that is drawn.

Streams are named, not shared: a fold draws the same batches and dropout masks whichever folds ran before
it, on however many workers, before or after a resume.
"""

import hashlib


def derive_seed(*name: str | int) -> int:
    """Return a 63-bit seed for a named stream, e.g. `derive_seed(seed, held_out_subject, epoch)`.

    Hashed, so that neighbouring names give unrelated streams, which seed + epoch does not.
    """
    digest = hashlib.sha256("\x1f".join(map(str, name)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
