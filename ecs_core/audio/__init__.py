"""Songs into features. Knows samples and times; knows no ECS, no pictures."""
