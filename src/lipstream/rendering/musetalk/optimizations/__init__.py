"""Exact savings: options, fusions, kernels and recorded graphs."""
