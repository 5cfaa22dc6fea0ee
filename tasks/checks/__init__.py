"""Captions held against the counts that they were made from: what is wrong with them, and what of it can be mended."""
