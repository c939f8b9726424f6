"""Test of every row of a table of predictions."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Shaped


class Check(NamedTuple):
    """Test of every row.

    Attributes:
        wrong: Rows that fail it.
        name: Name of the value, for messages.
        value: Value of each row.
        expected: Expected value of every row, as text.
    """

    wrong: Bool[np.ndarray, " rows"] | pd.Series
    name: str
    value: Shaped[np.ndarray, " rows"] | pd.Series
    expected: str
