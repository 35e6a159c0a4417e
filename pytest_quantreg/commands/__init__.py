"""The pages of single commands of `quantreg`, and what they need to make them."""
