"""Text as masks, and lyrics with their times. Knows no ECS and no song.

``layout.check_text(text, style)`` refuses what cannot be drawn, ``layout.fit`` and ``lay_out`` put it into a box, and
``drawing.draw`` makes masks of it: of all of it, of each letter, or of parts that are moved or lit by themselves.
``placed.Layout.spans`` says where words stand. ``lyrics.load_lyrics`` reads files, ``untimed.set_times`` guesses times,
``lrc.write`` writes them.
"""
