"""The unit of lengths in a scene: so many are the shorter side of a picture, whatever its size in pixels."""

UNITS = 1080.0
