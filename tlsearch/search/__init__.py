"""What to try next: the only importer of optuna."""
