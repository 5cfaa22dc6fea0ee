"""What the command line does beside the flows: running them, and looking at what they have made."""
