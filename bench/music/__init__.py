"""Generated songs with known ground truth: patterns played by synthetic instruments, determined by a seed."""
