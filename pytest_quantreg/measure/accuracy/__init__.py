"""Measures tasks on a loaded engine; the only reader of lm-eval's objects."""
