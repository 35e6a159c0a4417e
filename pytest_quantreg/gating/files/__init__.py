"""Results of finished evaluations, compared and judged without a model."""
