#!/bin/sh
# One would guess: a Hydra application whose callback raises (on_job_end, on_multirun_end) fails, as it does when its
# main function raises.
# What happens: hydra-core 1.3.8 turns the exception into a warning; the exit code is 0.
# Why it matters: pooling the folds of a leave-one-subject-out sweep in on_multirun_end looks natural. If the pooling
# fails, the job of a cluster or CI still counts as done, without a table. merec pools in a step of its own.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "hydra-core==1.3.8"
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import subprocess
import sys
from pathlib import Path

Path("app.py").write_text("""
import hydra
from hydra.core.config_store import ConfigStore
from hydra.experimental.callback import Callback

class Pool(Callback):
    def on_multirun_end(self, config, **kwargs):
        raise ValueError("fold 3 is missing")

ConfigStore.instance().store("root", {"fold": 0, "hydra": {"callbacks": {"pool": {"_target_": "__main__.Pool"}}}})

@hydra.main(version_base=None, config_path=None, config_name="root")
def main(config):
    if config.fold == 9:
        raise ValueError("a fold that fails")

main()
""")
sweep = subprocess.run([sys.executable, "app.py", "-m", "fold=0,1"], capture_output=True, text=True)
job = subprocess.run([sys.executable, "app.py", "fold=9"], capture_output=True, text=True)
warning = [line for line in sweep.stderr.splitlines() if "fold 3 is missing" in line]
print("callback fails: exit code", sweep.returncode, warning)
print("main fails: exit code", job.returncode)
assert sweep.returncode == 0 and len(warning) == 1 and "UserWarning" in warning[0]
assert job.returncode == 1
PYTHON
