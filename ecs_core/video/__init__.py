"""Pictures and sound into files: encode a segment, join segments, add the song. Knows frames; knows no ECS."""
