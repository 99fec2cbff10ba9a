"""Waveforms and images read from files. This package never imports torch."""
