"""Results files and sample logs of lm-eval, read into evaluations."""
