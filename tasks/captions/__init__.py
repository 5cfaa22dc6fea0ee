"""The captions of a campaign: every version of each, and which tiles are being asked about."""
