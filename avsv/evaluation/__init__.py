"""Measures, confidence intervals, plots and tables. Does not import torch."""
