"""Configuration text: YAML trees with marks, faults, options and the decoder."""
