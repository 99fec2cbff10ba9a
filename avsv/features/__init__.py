"""Filter banks, voice activity, face alignment, quality measures, and damage to audio and images."""
