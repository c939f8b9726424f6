"""Features that are computed from a sample's pixels before a network reads them."""

from merec.features.prepare import FeatureStore

__all__ = ["FeatureStore"]
