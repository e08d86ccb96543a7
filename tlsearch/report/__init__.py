"""Records to numbers to words; loads neither torch nor optuna."""
