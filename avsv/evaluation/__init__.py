"""Measures, confidence intervals, plots and tables. No torch here."""
