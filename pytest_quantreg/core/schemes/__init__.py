"""Quantization schemes: names, tables, and what a checkpoint says of its own."""
