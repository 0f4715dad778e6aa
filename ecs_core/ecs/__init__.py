"""The entity-component-system: worlds, tables of particles, components, the schedule of systems, randomness."""
