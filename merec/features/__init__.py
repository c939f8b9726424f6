"""What is computed from a sample's pixels before a model looks at them."""
