"""The one truth about a study, in SQLite: `reading` for reports, `store` for the one that writes."""
