"""The story of a campaign: one module per flow, and the command line that runs them."""
