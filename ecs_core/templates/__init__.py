"""Templates: whole looks with slots for a cover, a title, lyrics … as JSON files that anybody can copy.

``template.find_template`` reads one, by its name or from a file. ``filling.fill_template`` makes a type and a config of
it.
"""
