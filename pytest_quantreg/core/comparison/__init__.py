"""Two measurements side by side: whether they compare, and what changed."""
