"""Kernels compiled by numba: what all fused recurrences share."""
