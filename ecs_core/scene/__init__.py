"""What to render, as data: scenes, their settings, and the bindings of settings to the song."""
