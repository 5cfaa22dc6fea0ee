"""What our pages have in common: templates' settings and the base of styles in HTML; text from outside in Markdown."""
