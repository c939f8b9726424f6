"""What is predicted of a sample: its emotion, or which action units it shows."""

from merec.errors import InputError
from merec.targets.action_units import ActionUnits
from merec.targets.emotion import Emotion
from merec.targets.target import Target
from merec.types import Protocol

TARGETS: dict[str, type[Target]] = {kind.name: kind for kind in (Emotion, ActionUnits)}


def find_target(name: str) -> type[Target]:
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
