"""Video files: encode a segment, join segments, add the song. Independent of the ECS."""
