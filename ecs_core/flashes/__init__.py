"""Flashes that may harm photosensitive viewers: the light of each frame as cells, and what flashes too often."""
