"""Counts of land-cover classes in a tile and in its five patches."""
