"""merec: micro-expression recognition experiments whose numbers can be believed."""

__version__ = "0.1.0"
