"""Draw the pictures of README and documentation: `make pictures`, after `make sweep`.

Only rendered faces are shown. merec draws everything itself: sheets by `inspect`, `synthesize` and
`predict`, figures cut out of the reports of `make sweep` and `make leaderboard`. If runs are missing,
their picture is left as it is, and a line says so.
"""

import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from merec.cli.choices import build_corpus_and_features

FOLDER = Path(__file__).parent
SAMPLE = "spNO.9_f_2122"
WIDTH = 1000  # px


def main() -> None:
    """Draw all pictures."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        draw_sheets(root)
        for runs, section, name in (
            ("runs/demo/synthetic", "networks-and-controls", "report"),
            ("runs/leaderboard", "honest-and-best-epoch-on-test", "optimism"),
        ):
            if Path(runs).is_dir():
                run("report", runs, f"out={root / name}")
                cut_figure(root / name / "report.html", section, FOLDER / f"{name}.svg")
            else:
                sys.stdout.write(f"{name}.svg stays as it is: there is no {runs}\n")


def draw_sheets(root: Path) -> None:
    """Render the small corpus and draw a sheet of its faces, of a sample and of a predicted clip."""
    corpus = "corpus=synthetic_small"
    clip = find_clip(corpus)
    shrink(clip.parents[2] / "contact_sheet.png", FOLDER / "contact_sheet.jpg")
    run("inspect", SAMPLE, corpus, f"out={root / 'inspect'}")
    shrink(root / "inspect" / f"{SAMPLE}.png", FOLDER / "sample.png")
    network = (
        "task=finetune",
        "backbone=off_apexnet",
        "logger=none",
        f"hydra.run.dir={root / 'run'}",
    )
    run("train", corpus, *network)
    checkpoint = root / "run" / "checkpoint.ckpt"
    run("predict", str(clip), f"checkpoint={checkpoint}", f"out={root / 'predict'}")
    (picture,) = (root / "predict").glob("*.png")
    shrink(picture, FOLDER / "prediction.png")


def find_clip(corpus: str) -> Path:
    """Return the folder of the sample's colour frames; the corpus is rendered if it is not there yet."""
    rendered, _ = build_corpus_and_features([corpus])
    (frames,) = rendered.index.loc[rendered.index["sample_id"] == SAMPLE, "color"]
    return frames.folder


def run(*arguments: str) -> None:
    """Run merec; its messages go to the screen."""
    subprocess.run([sys.executable, "-m", "merec", *arguments], check=True)


def shrink(source: Path, target: Path) -> None:
    """Write a picture of at most `WIDTH` px; a PNG with 256 colours."""
    image = Image.open(source).convert("RGB")
    image.thumbnail((WIDTH, 10 * WIDTH), Image.Resampling.LANCZOS)
    if target.suffix == ".png":
        image = image.quantize(256, dither=Image.Dither.NONE)
    image.save(target, optimize=True, quality=85)


def cut_figure(page: Path, section: str, target: Path) -> None:
    """Write the first figure of a report's section as a file of its own, in the page's light colours."""
    text = page.read_text()
    start = text.index("<svg", text.index(f'<section id="{section}"'))
    figure = text[start : text.index("</svg>", start) + len("</svg>")]
    colors = dict(
        re.findall(r"--([\w-]+):\s*([^;]+);", text[text.index(":root") :].partition("}")[0])
    )
    figure = re.sub(r"var\(--([\w-]+)\)", lambda name: colors[name[1]].strip(), figure)
    target.write_text(
        figure.replace("<svg ", f'<svg style="background:{colors["paper"]}" ', 1) + "\n"
    )


if __name__ == "__main__":
    main()
