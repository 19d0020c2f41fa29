"""Generated requests: what both OpenAPI documents allow, and what they do not, sent by somebody of each role."""
