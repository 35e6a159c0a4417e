"""Accelerators: what they compute, and which kernels engines have on them."""
