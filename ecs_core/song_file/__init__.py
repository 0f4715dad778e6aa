"""A song's file and what is read from it: container, tracks, tags, samples with their layout, AAC packets."""
