"""The final model as files that run anywhere, each proven to give the same answers."""
