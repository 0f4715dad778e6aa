"""Scene in, video out: plan, simulate, render segments in parallel processes, join. Sits on top of everything else."""
