#!/bin/sh
# One would guess: macro F1 is the mean over all num_classes classes; a class without samples and without predictions
# counts as 0, as in scikit-learn with labels=range(num_classes) and zero_division=0.
# What happens: torchmetrics 1.9.0 leaves such a class out of the mean. Of the same four predictions, with the third
# class absent, it says .7333 where scikit-learn 1.9.1 says .4889.
# Why it matters: with one subject held out, most folds lack a class. The score of a fold, and the mean of folds, differ
# by half between two code bases that both call it macro F1 (UF1); only the pooled score of all folds is the same.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "torch==2.13.0" "torchmetrics==1.9.0" "scikit-learn==1.9.1"
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import torch
import torchmetrics
from sklearn.metrics import f1_score
from torchmetrics.functional.classification import multiclass_f1_score

labels, predicted = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 1, 0])
ours = multiclass_f1_score(predicted, labels, num_classes=3, average="macro").item()
theirs = f1_score(labels, predicted, labels=[0, 1, 2], average="macro", zero_division=0)
print("torchmetrics", torchmetrics.__version__, round(ours, 4), "scikit-learn", round(theirs, 4))
assert round(ours, 4) == 0.7333 and round(theirs, 4) == 0.4889
present = torch.tensor([0, 0, 1, 1, 2]), torch.tensor([0, 0, 1, 0, 2])
same = multiclass_f1_score(present[1], present[0], num_classes=3, average="macro").item()
assert abs(same - f1_score(*present, average="macro")) < 1e-6  # equal as soon as the class is there
PYTHON
