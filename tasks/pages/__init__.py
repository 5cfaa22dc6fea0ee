"""What our HTML pages have in common: their templates' settings, and the base of their styles."""
