"""What looks at the samples: torch modules that know nothing of folds or tasks."""

from merec.backbones.ststnet import STSTNet

__all__ = ["STSTNet"]
