"""What is computed from a sample's pixels before a model looks at them."""

from merec.features.prepare import FeatureStore

__all__ = ["FeatureStore"]
