"""Scenes as data: settings, bindings to the song, and results of renders."""
