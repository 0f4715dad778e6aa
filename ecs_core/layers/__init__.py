"""What layers can show besides particles: the kinds that Motes has itself; plugins add others with ``motes_layers``."""
