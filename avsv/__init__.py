"""Audio-visual person verification: is this the same person, given their voice and their face?"""

__version__ = "0.1.0"
