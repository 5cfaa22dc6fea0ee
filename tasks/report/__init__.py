"""What the checks found in a campaign's captions, and how people judged them."""
