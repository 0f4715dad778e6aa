"""DrawLists into pictures. Knows light and pixels; knows no ECS, no audio, no files."""
