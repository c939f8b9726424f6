"""Draw the identity of a synthetic subject: face shape, skin, hair and eyes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from merec.seeding import derive_seed
from merec.synthetic.head_model import HeadModel

ANCESTRIES = ("african", "asian", "caucasian")
YOUNG, OLD = 25.0, 90.0  # years, ages of MakeHuman's two adult targets
# Suffixes of the two opposite targets of a feature, as named by MakeHuman.
_OPPOSITES = {"incr": "decr", "up": "down", "out": "in", "forward": "backward", "convex": "concave"}
_OPPOSITES |= {"uncompress": "compress"}
# Features that are not varied: their extremes do not look adult, or separate the lids from the eyeball.
_EXCLUDED_FEATURES = (
    *(
        "head-age",
        "neck-",
        "shape-",
        "eye-push",
        "eye-trans",
        "head-trans",
        "head-angle",
        "ear-flap",
    ),
    *(
        "eye-scale",
        "nose-compression",
        "mouth-trans",
        "nose-trans-in",
        "nose-trans-out",
        "eye-height2",
        "head-back",
        "measure",
    ),
)
_HEAD_SHAPES = (
    "diamond",
    "invertedtriangular",
    "oval",
    "rectangular",
    "round",
    "square",
    "triangular",
)
# sRGB, 0 to 255, at melanin 0, 1/3, 2/3, 1
_SKIN = np.array([(240, 205, 186), (214, 167, 136), (152, 104, 76), (88, 60, 46)], dtype=np.float64)
_HAIR = {
    "black": (24, 20, 19),
    "dark brown": (48, 34, 26),
    "brown": (78, 54, 36),
    "dark blond": (128, 98, 62),
    "blond": (176, 144, 98),
    "red": (124, 62, 34),
}
_IRIS = {"brown": (74, 46, 28), "dark brown": (46, 30, 22), "hazel": (104, 80, 46)}
_IRIS |= {"green": (90, 102, 70), "blue": (98, 124, 148), "grey": (110, 116, 120)}


@dataclass(frozen=True)
class Skin:
    """Skin of a subject.

    Attributes:
        colour: Albedo, sRGB 0 to 255.
        melanin: 0 (light) to 1 (dark).
        makeup: Strength of lip colour and lash line, 0 to 1.
    """

    colour: tuple[float, ...]
    melanin: float
    makeup: float


@dataclass(frozen=True)
class Hair:
    """Hair of a subject.

    Attributes:
        colour: Colour without grey hair, sRGB 0 to 255.
        grey: Share of grey hair, 0 to 1.
        hairline: Height of the hairline above its average, mm.
        volume: Thickness of the hair, mm.
        length: Length of long hair below the eyes, mm; 0 for short hair.
        beard: 0 (shaven) to 1 (full).
        brow: Density of the brows, 0 to 1.
    """

    colour: tuple[float, ...]
    grey: float
    hairline: float
    volume: float
    length: float
    beard: float
    brow: float


@dataclass(frozen=True)
class Identity:
    """Appearance of a synthetic subject.

    Attributes:
        name: Name of the subject, e.g. `spNO.1`.
        female: Sex: female if true, else male.
        age: Age in years.
        ancestry: Shares of `ANCESTRIES`; they sum to 1.
        targets: Weights of the head model's targets.
        skin: Skin and make-up.
        hair: Hair, beard and brows.
        iris: Colour of the iris, sRGB 0 to 255.
        cloth: Colour of the shirt, sRGB 0 to 255.
    """

    name: str
    female: bool
    age: float
    ancestry: tuple[float, ...]
    targets: dict[str, float]
    skin: Skin
    hair: Hair
    iris: tuple[float, ...]
    cloth: tuple[float, ...]

    def compute_shape(self, head: HeadModel) -> Float[np.ndarray, "vertices 3"]:
        """Compute the vertices of the face at rest, mm from the midpoint of the eyes."""
        shape = head.vertices + head.deform(self.targets)
        return shape - shape[head.list_vertices("left eye", "right eye")].mean(axis=0)


def draw_identity(name: str, number: int, seed: int, head: HeadModel) -> Identity:
    """Draw the identity of a subject.

    Args:
        name: Name of the subject; seeds the draw.
        number: Position of the subject in the corpus, from 0; decides sex and main ancestry, so that these
            are balanced over the corpus.
        seed: Seed of the corpus.
        head: Head model, whose targets are weighted.
    """
    rng = np.random.default_rng(derive_seed(seed, "identity", name))
    female = bool(number % 2)
    age = float(18 + 52 * rng.beta(1.3, 2.0))
    main = (number + 1) % 3  # six successive subjects have all six combinations of sex and ancestry
    ancestry = 0.8 * np.eye(3)[main] + 0.2 * rng.dirichlet((0.5, 0.5, 0.5))
    melanin = float(np.clip(ancestry @ (0.86, 0.3, 0.12) + rng.normal(0, 0.07), 0, 1))
    skin = [np.interp(melanin, np.linspace(0, 1, 4), _SKIN[:, channel]) for channel in range(3)]
    hair_colour = _draw_colour(
        rng, _HAIR, (0.92, 0.08, 0, 0, 0, 0), (0.1, 0.3, 0.25, 0.15, 0.12, 0.08), ancestry[2]
    )
    iris = _draw_colour(
        rng, _IRIS, (0.4, 0.6, 0, 0, 0, 0), (0.3, 0.1, 0.15, 0.1, 0.25, 0.1), ancestry[2] ** 2
    )
    grey = float(np.clip((age - 42) / 35 + rng.normal(0, 0.15), 0, 1)) * (0.6 if female else 1)
    return Identity(
        name=name,
        female=female,
        age=age,
        ancestry=tuple(ancestry.tolist()),
        targets=_draw_shape(rng, female, age, ancestry, head),
        hair=_draw_hair(rng, hair_colour, grey, female, age),
        skin=Skin(tuple(skin), melanin, float(rng.uniform(0.1, 0.8)) if female else 0.0),
        iris=iris,
        cloth=tuple((rng.uniform(25, 190) + rng.normal(0, 18, 3)).clip(12, 225).tolist()),
    )


def _draw_hair(
    rng: np.random.Generator, colour: tuple[float, ...], grey: float, female: bool, age: float
) -> Hair:
    """Draw haircut, beard and brows by sex and age."""
    return Hair(
        colour=colour,
        grey=grey,
        hairline=float(
            rng.normal(0, 3) + (0 if female else max(0.0, age - 30) * rng.uniform(0, 0.4))
        ),
        volume=float(rng.uniform(10, 22) if female else rng.uniform(3, 14)),
        length=float(rng.uniform(45, 110)) if female and rng.random() < 0.75 else 0.0,
        beard=0.0 if female else float(max(0.0, rng.normal(0.25, 0.35))),
        brow=float(np.clip(rng.normal(0.62 if female else 0.8, 0.12), 0.4, 1)),
    )


def _draw_colour(
    rng: np.random.Generator,
    colours: dict[str, tuple[int, int, int]],
    dark: tuple[float | int, ...],
    light: tuple[float | int, ...],
    share: float,
) -> tuple[float, ...]:
    """Draw one of some colours and vary its brightness.

    Args:
        rng: Random generator.
        colours: sRGB, 0 to 255, by name.
        dark: Probabilities of the colours at `share=0`.
        light: Probabilities of the colours at `share=1`.
        share: Weight of `light` in the mixture of both.
    """
    probabilities = (1 - share) * np.array(dark) + share * np.array(light)
    index = rng.choice(len(colours), p=probabilities / probabilities.sum())
    return tuple((np.array(list(colours.values())[index]) * rng.uniform(0.85, 1.15)).tolist())


def _draw_shape(
    rng: np.random.Generator, female: bool, age: float, ancestry: np.ndarray, head: HeadModel
) -> dict[str, float]:
    """Draw the weights of the identity targets.

    Targets of ancestry, sex, age, muscle and weight are weighted by products of shares; each feature of the
    face has a weight of its own.
    """
    sex = {"female": 0.92, "male": 0.08} if female else {"female": 0.05, "male": 0.95}
    old = float(np.clip((age - YOUNG) / (OLD - YOUNG), 0, 1))
    ages = {"young": 1 - old, "old": old}
    weights: dict[str, float] = {}
    muscle = _share(rng.normal(0.5 if female else 0.58, 0.12), "muscle")
    weight = _share(rng.normal(0.5, 0.16), "weight")
    for gender, a in sex.items():
        for years, b in ages.items():
            for name, c in zip(ANCESTRIES, ancestry, strict=True):
                weights[f"macro/{name}-{gender}-{years}"] = a * b * float(c)
            for m, d in muscle.items():
                for w, e in weight.items():
                    weights[f"universal/{gender}-{years}-{m}-{w}"] = a * b * d * e
    shapes = rng.dirichlet(np.full(len(_HEAD_SHAPES), 0.5)) * rng.uniform(0, 0.55)
    weights |= {f"feature/head-{s}": float(x) for s, x in zip(_HEAD_SHAPES, shapes, strict=True)}
    for name in sorted(head.targets):
        kind, _, feature = name.partition("/")
        stem, _, end = feature.rpartition("-")
        excluded = any(part in feature for part in _EXCLUDED_FEATURES)
        if kind != "feature" or end not in _OPPOSITES or excluded:
            continue
        if feature.startswith("r-"):
            continue  # drawn together with the left side
        amount = float(np.clip(rng.normal(0, 0.22), -0.6, 0.6))
        for side in ("l-", "r-") if feature.startswith("l-") else ("",):
            base = side + stem[2:] if side else stem
            suffix = end if amount > 0 else _OPPOSITES[end]
            asymmetry = 1 + (float(rng.normal(0, 0.08)) if side else 0)
            weights[f"feature/{base}-{suffix}"] = abs(amount) * asymmetry
    return {name: weight for name, weight in weights.items() if name in head.targets and weight}


def _share(value: float, kind: str) -> dict[str, float]:
    """Return the weights of the min, average and max target for a value of 0 to 1; 0.5 is average."""
    value = float(np.clip(value, 0, 1))
    low, high = max(0.0, 1 - 2 * value), max(0.0, 2 * value - 1)
    return {f"min{kind}": low, f"average{kind}": 1 - low - high, f"max{kind}": high}
