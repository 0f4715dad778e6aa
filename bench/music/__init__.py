"""Songs with known truth: composed from patterns, played by made-up instruments, the same for a seed."""
