"""Talking to OpenAI-compatible chat endpoints: what they answer, what that means, and whom to ask next."""
