"""Asking endpoints for captions: what is sent, what it may cost, and what becomes of the answers."""
