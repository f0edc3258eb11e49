"""The vendors' own client libraries reading the sandbox, each in an environment of its own."""
