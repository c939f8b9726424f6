"""Hyperparameters of data augmentation: mirroring, cropping, colour jitter and dropped points."""

from dataclasses import dataclass

from merec.types import InputError


@dataclass(frozen=True)
class Augmentation:
    """Settings of augmentation; 0 turns a setting off, and 1 turns off `crop` and `scale`.

    Attributes:
        flip: Share of samples that are mirrored. All views of a sample are mirrored together, except two
            views of the same kind with `apart`.
        crop: Smallest share of the area of both views that is cut out and shown at full size (.2 for the
            linear probe of Li et al. 2025).
        jitter: Largest change of brightness, contrast and saturation, as a share, and of hue, in turns; for
            colour views only (.4 in Li et al. 2025).
        grey: Share of samples whose colour views lose their colour (.2 in Li et al. 2025).
        dropout: Largest share of points that are dropped (.875 in Zhang et al. 2025); they are marked, and
            the network leaves them out after it has centred motion.
        scale: Largest factor by which a face is enlarged or shrunk (1.25 in Zhang et al. 2025).
        shift: Largest shift of a face along each axis, in units of its radius (.1 in Zhang et al. 2025).
        apart: Whether crop and colour jitter are drawn separately for each of the two views, so that neither
            position nor outline reveals which views belong together. Views of different kinds are still
            mirrored together, since a movement to the left does not match one to the right. Two views of the
            same kind are mirrored separately too; without crops they would otherwise be equal.
        rotate: Largest angle by which a face is turned in the image plane, degrees, either way; motion turns
            with it.
    """

    flip: float | int
    crop: float | int
    jitter: float | int
    grey: float | int
    dropout: float | int
    scale: float | int
    shift: float | int
    apart: bool
    rotate: float | int = 0.0

    def __post_init__(self) -> None:
        for name in ("flip", "jitter", "grey", "dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(
                    f"datamodule.augment.{name}={getattr(self, name)} is no share; give 0 (off) to 1"
                )
        if not 0 < self.crop <= 1:
            raise InputError(
                f"datamodule.augment.crop={self.crop} is no part of a view; give more than 0, up to 1 (off)"
            )
        if self.scale < 1 or self.shift < 0:
            raise InputError(
                f"datamodule.augment.scale={self.scale}, shift={self.shift}; give a scale of 1 (off) or more "
                "and a shift of 0 (off) or more"
            )
        if not 0 <= self.rotate <= 180:
            raise InputError(
                f"datamodule.augment.rotate={self.rotate} is no angle; give 0 (off) to 180 degrees"
            )

    @property
    def active(self) -> bool:
        """True if any augmentation is on."""
        return bool(self.flip or self.rotate) or self.crop != 1 or self.light or self.geometry

    @property
    def light(self) -> bool:
        """True if colours change."""
        return bool(self.jitter or self.grey)

    @property
    def geometry(self) -> bool:
        """True if points are dropped or moved."""
        return bool(self.dropout or self.scale != 1 or self.shift)
