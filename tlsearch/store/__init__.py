"""The one truth about a study, in SQLite: the only importer of sqlalchemy."""

from tlsearch.store.store import Store

__all__ = ["Store"]
