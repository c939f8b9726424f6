#!/bin/sh
# One would guess: a clip of SAMM named 006_1_2 in a YAML list stays text, or all such names become numbers alike.
# What happens: PyYAML 6.0.3 takes the underscores for digit separators of YAML 1.1. A name that begins with 0 and has
# digits up to 7 only is an octal number: 006_1_2 becomes 394, 020_3_6 becomes 1054; 008_1_1 and 028_4_1 stay text.
# OmegaConf 2.3.1 does the same.
# Why it matters: names of SAMM's clips are SUBJECT_VIDEO_CLIP. A list of samples to leave out, or an index kept as
# YAML, loses part of its names without a word; they must be quoted. merec refuses such an entry.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "PyYAML==6.0.3" "omegaconf==2.3.1"
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import omegaconf
import yaml
from omegaconf import OmegaConf

text = "[006_1_2, 020_3_6, 008_1_1, 028_4_1, '006_1_2']"
expected = [394, 1054, "008_1_1", "028_4_1", "006_1_2"]
print("PyYAML", yaml.__version__, yaml.safe_load(text))
print("OmegaConf", omegaconf.__version__, list(OmegaConf.create(f"names: {text}").names))
assert yaml.safe_load(text) == expected
assert list(OmegaConf.create(f"names: {text}").names) == expected
PYTHON
