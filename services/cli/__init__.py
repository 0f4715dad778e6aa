"""The command line: ``motes``."""
