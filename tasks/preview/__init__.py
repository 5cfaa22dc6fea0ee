"""A page to look at: the campaign's tiles, maps and captions in one file."""
