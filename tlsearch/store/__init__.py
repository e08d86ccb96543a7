"""The one truth about a study, in SQLite: the only importer of sqlalchemy."""
