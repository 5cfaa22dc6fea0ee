"""The deployments of a campaign, and how they come to a server."""
