"""The package's version: the one place that has it, installed or not."""

__version__ = "0.1.0.dev0"
