"""Independent random streams for all random draws.

Each stream has a name, so that a fold draws the same batches and dropout masks whatever folds ran before,
with any number of workers, and after a resume.
"""

import hashlib


def derive_seed(*name: str | int) -> int:
    """Return a 63-bit seed for a named stream, e.g. `derive_seed(seed, held_out_subject, epoch)`.

    Names are hashed, so that similar names give unrelated streams (unlike seed + epoch).
    """
    digest = hashlib.sha256("\x1f".join(map(str, name)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
