"""Texts of `merec --help` and `merec VERB --help`; Hydra prints those of `merec train --help`."""

import re
import textwrap

HELP = """\
merec: micro-expression recognition experiments whose numbers can be believed.

usage: merec VERB …

  train     train any task on any choices; a Hydra application (`merec train --help`)
              merec train task=loso backbone=ststnet corpus=megc2019_flow
              merec train task=baseline task.estimator=rbf_svm_nested
              merec train -m task=loso backbone=ststnet seed=0,1,2
  report    pool run folders into tables, figures and one HTML page
              merec report runs/megc2019_flow [out=runs/report] [published=false]
              sheets=FOLDER: where merec inspect wrote, runs/inspect by default; samples lead there
  compare   test runs against each other, subject by subject; of several, every pair
              merec compare RUN_A RUN_B [RUN_C …] [reference=A] [out=FOLDER]
              reference=A: the others against that side only; out=FOLDER gets tables, a picture
              of what is not told apart, and every number
  dashboard  make a W&B workspace and report over runs that were logged to W&B
              merec dashboard RUN… [out=runs/dashboard] [online=true]
              writes workspace.json and report.json; saves them in W&B only with online=true,
              or if the runs were trained with logger.mode=online and online=false is not given
  synthesize  render faces in the layout of CAS(ME)^3, with depth and the truth about both
              merec synthesize [root=FOLDER] [subjects=60] [samples=12] [unlabelled=N] [macro=N]
              annotation=FILE renders the rows of a real table; frames=pair|key|all; width=1280
              height=720; noise, head, gaze, blinks (0 for none); camera=d415|l515|ideal;
              depth_noise=.25 mm at 550 mm (null: the camera's own); depth_step; seed; jobs.
              corpus=synthetic_small has other defaults. Without root it goes to the cache, where
              corpus=synthetic looks for it
  doctor    say what is wrong with a corpus on disk, row by row, with the remedy
              merec doctor corpus=casme3 [corpus.root=FOLDER] [corpus.KEY=VALUE]
              deep=true opens every image, not only onset and apex; jobs=N processes;
              out=FILE.csv|null (default runs/doctor/NAME.csv); exit code 1 if there are
              errors, with strict=true also if there are warnings
  prepare   make the features of a corpus: aligned crops, motion, depth, points of regions
              merec prepare corpus=casme3 [corpus.KEY=VALUE] [features.KEY=VALUE]
              all=true: in every representation and modality, with the pairs of unlabelled clips
              experiments=NAME: corpus and features as that study has them
              jobs=N processes; out=FILE.csv|null (default runs/prepare/NAME.csv) gets a row
              per sample with the reason if it failed; with strict=true exit code 1 if one
              did; the same command goes on where it was interrupted; unlabelled=true makes
              pairs of frames of the clips without labels instead, for pretraining
  inspect   look at samples: a sheet of pictures and an interactive cloud of points
              merec inspect SAMPLE corpus=casme3 [out=runs/inspect]
              merec inspect corpus=casme3 [count=9] writes a page of several;
              unlabelled=true: of the pairs for pretraining
  predict   name the emotion, or action units, of an unseen clip: a video, or a folder of frames
              merec predict CLIP checkpoint=FILE [calibration=RUN] [out=runs/predict]
              finds onset and apex by the peak of the flow and writes a picture of where the
              motion was, and a JSON file; without checkpoint no more than that. `merec train
              task=finetune` writes a checkpoint of everyone; `merec predict --help` says more
  new       write a small package with a backbone or a corpus of your own, which passes its test
              merec new backbone NAME [root=FOLDER]; merec new corpus NAME [root=FOLDER]
              root: the folder that is made, NAME by default. docs/howto/own_backbone.md says more
  completion  complete verbs, choices and keys by the tab key
              eval "$(merec completion bash)"       in ~/.bashrc; zsh likewise, after compinit
              merec completion fish | source        in ~/.config/fish/config.fish

Runs lie in runs/CORPUS/TASK/…; the same command resumes a run that was interrupted.
Data is found below MEREC_DATA, or where corpus.root=FOLDER says.
Every verb takes --config-dir FOLDER (-cd FOLDER): backbones, corpora and recipes of a package there
are choices beside merec's, as those of an installed package are.
HYDRA_FULL_ERROR=1 shows the traceback of an error.
"""

PREDICT = """\
merec predict: name the emotion, or action units, of an unseen clip, and show where its motion was

usage: merec predict CLIP [checkpoint=FILE] [KEY=VALUE…]

  CLIP          a video file (mp4, avi, …), or a folder of numbered frames (1.jpg, img0001.png), or of
                a folder color with them; depth maps (16-bit PNG, mm) lie in a folder depth beside it.
                One face, seen from the front; the clip begins before the expression and ends after it
  checkpoint    checkpoint.ckpt of `merec train task=finetune` (trained on everyone) or of a fold.
                Without it only onset and apex are found
  calibration   a finished task=loso run of the same network, on whose held-out predictions the
                temperature of the probabilities is fitted; by default the run that the checkpoint
                lies in, if it has all folds
  fps           frames/s, where the clip does not say; of folders 30 are assumed
  intrinsics    YAML file of the camera (fx, fy, cx, cy, width, height), which networks of points in
                depth need; by default that of the corpus they were trained on
  plugins       your own modules or packages, separated by commas, whose networks may be built from the
                checkpoint; without it only merec's own are and those of plug-ins that are installed or
                named by --config-dir FOLDER, so that a checkpoint cannot run code
  other_code    true: accept a network whose code, or that of its features, changed since it was trained
  out           folder for NAME.png and NAME.json; runs/predict by default

  merec train task=finetune backbone=ststnet
  merec predict subject7.mp4 checkpoint=runs/synthetic/finetune/…/checkpoint.ckpt \\
      calibration=runs/synthetic/loso/ststnet-rgb/seed-0

The apex is the peak of a movement that is over within about half a second; blinks are left out.
Probabilities are those of a network that knows the faces and classes it was trained on; how good it
is on new faces `merec report` says of its task=loso run.
"""


def describe_verb(verb: str) -> str:
    """Return what `merec VERB --help` prints: the part of `HELP` about that verb, or a page of its own."""
    if verb == "predict":
        return PREDICT
    part = re.search(rf"^  {verb} .*\n(    .*\n)*", HELP, re.MULTILINE)
    about = part[0].strip().removeprefix(verb).strip() if part else ""
    first, _, rest = about.partition("\n")
    return f"merec {verb}: {first}\n\n{textwrap.indent(textwrap.dedent(rest), '  ')}\n"
