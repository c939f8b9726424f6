"""Controls: results that say what the score of a network is worth."""

from collections.abc import Sequence

from merec.evaluation.pretraining import probes_random_encoder, read_settings
from merec.evaluation.results import Result

_CEILING = "true_action_units"
MODALITIES = {"rgb": "Colour", "depth": "Depth", "fused": "Colour and depth"}


def name_control(result: Result) -> str:
    """Say what control a result is; empty for a network that was trained."""
    settings = read_settings(result)
    estimator = settings.get("estimator")
    if estimator == _CEILING:
        return "class from the true action units by logistic regression, the ceiling of the emotion"
    if estimator:
        return f"{estimator} on flow maps, no network"
    if probes_random_encoder(result):
        return "linear probe of an encoder with random weights"
    return ""


def describe_controls(results: Sequence[Result]) -> str:
    """Say which results are controls, and of what kind; empty if none is."""
    names: dict[str, list[str]] = {}
    for result in results:
        if what := name_control(result):
            names.setdefault(what, []).append(result.name)
    parts = [f"{what} ({', '.join(own)})" for what, own in names.items()]
    return f"Controls: {'; '.join(parts)}." if parts else ""


def name_modality(result: Result) -> str:
    """Name what a result was shown: colour, depth, both, or the views of an encoder of two."""
    if read_settings(result).get("estimator") == _CEILING:
        return "True action units"
    data = read_settings(result).get("datamodule") or {}
    if views := data.get("views"):
        return f"Views: {' and '.join(map(str, views))}"
    return MODALITIES.get(str(data.get("modality")), "Other")
