"""Audio analysis: songs into features. Independent of the ECS and of pictures."""
