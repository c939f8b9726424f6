"""Targets of a prediction: the emotion of a sample, or the action units that it shows.

A target defines how labels are read, learnt, decided, scored and named. Both targets have the same attributes
and methods, see `Emotion`.
"""

from merec.errors import InputError
from merec.targets.action_units import ActionUnits
from merec.targets.emotion import Emotion
from merec.types import Protocol

Target = Emotion | ActionUnits
TARGETS: dict[str, type[Emotion] | type[ActionUnits]] = {
    kind.name: kind for kind in (Emotion, ActionUnits)
}


def find_target(name: str) -> type[Emotion] | type[ActionUnits]:
    """Return the class of the target that `task.target` names.

    Raises:
        InputError: If there is none.
    """
    if name not in TARGETS:
        raise InputError(f"task.target={name} is unknown; choose {' or '.join(TARGETS)}")
    return TARGETS[name]


def open_target(protocol: Protocol) -> Target:
    """Return the target of a protocol, with the classes of the protocol."""
    return TARGETS[protocol.target](protocol.classes)
