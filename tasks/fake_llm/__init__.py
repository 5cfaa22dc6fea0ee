"""`fake-llm`: a local OpenAI-compatible endpoint that enforces quotas and injects faults, for rehearsals and tests.

It shares no arithmetic with the ledger (`tasks.quota`): each is held against the other.

- `limits`: what an account may still spend, by its own count; `refusals`: what is answered when that is nothing
- `questions`: what a request asks; `writing`: captions that fit it; `blemishes`: captions with faults in them
- `faults`: which fault a request meets; `answers`: bodies and headers
- `books`: counters and request log; `endpoint`: one request from arrival to reply; `server`: HTTP
"""
