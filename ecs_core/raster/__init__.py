"""Rasteriser: sprites into pictures. Independent of the ECS, audio and files."""
