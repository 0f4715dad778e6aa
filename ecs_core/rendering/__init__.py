"""From a scene to a video: plan, simulate, render segments in parallel processes, join them."""
