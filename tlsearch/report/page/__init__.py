"""The page: a study's report as one HTML file; loads neither torch nor optuna."""
