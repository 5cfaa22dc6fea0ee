"""Quotas that outlive the process: what every account has been asked, and how many requests it may still be sent."""
