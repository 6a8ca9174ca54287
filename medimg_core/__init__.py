"""Reading, inference, explanation and honest statistics for medical images."""

__version__ = "0.1.0"
