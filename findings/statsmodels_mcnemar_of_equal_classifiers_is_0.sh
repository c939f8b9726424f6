#!/bin/sh
# One would guess: McNemar's test of two classifiers that are right and wrong on the same samples gives p = 1: there is
# no difference.
# What happens: statsmodels 0.15.0 with exact=False divides 1 by 0 in the continuity correction and returns the
# statistic inf and p = 0, the strongest difference there is; without the correction both are nan. exact=True gives 1.
# Only a RuntimeWarning of numpy tells.
# Why it matters: in a table of many pairs of methods, two runs of the same model, or a method and its copy, stand as
# the most significant pair, and Holm's adjustment passes it on.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "statsmodels==0.15.0" "scipy==1.17.1" "pandas==3.1.1"
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import math
import warnings

import statsmodels
from statsmodels.stats.contingency_tables import mcnemar

warnings.simplefilter("ignore", RuntimeWarning)
both_right_or_both_wrong = [[300, 0], [0, 142]]
corrected = mcnemar(both_right_or_both_wrong, exact=False)
plain = mcnemar(both_right_or_both_wrong, exact=False, correction=False)
exact = mcnemar(both_right_or_both_wrong, exact=True)
print("statsmodels", statsmodels.__version__, "p:", corrected.pvalue, plain.pvalue, exact.pvalue)
assert corrected.pvalue == 0 and math.isinf(corrected.statistic)
assert math.isnan(plain.pvalue) and exact.pvalue == 1
PYTHON
