"""The store's tables as they are now; `migrations.py` tells how they came to be."""

from sqlalchemy import (
    JSON,
    Column,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    TypeDecorator,
)
from sqlalchemy import Text as SqlText

from tlsearch.store.rows import escaped


class Text(TypeDecorator[str]):
    """Text that may hold what UTF-8 cannot: the lone surrogates of file names are written as backslash escapes."""

    impl = SqlText
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Escape before writing, and before comparing."""
        return None if value is None else escaped(value)


metadata = MetaData()

studies = Table(
    "studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("config", JSON, nullable=False),
    Column("definition", JSON, nullable=False),
    Column("context", JSON, nullable=False),
    Column("created", Text, nullable=False),
)

trials = Table(
    "trials",
    metadata,
    Column("study", ForeignKey("studies.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("params", JSON, nullable=False),
    Column("recipe", JSON, nullable=False),
    Column("score", Float),
    Column("fold_scores", JSON, nullable=False),
    Column("rung_score", Float),
    Column("reason", Text),
    Column("detail", Text, nullable=False),
    Column("duplicate_of", Integer),
    Column("facts", JSON(none_as_null=True)),
    Column("seconds", Float, nullable=False),
    Column("probe_seconds", Float, nullable=False),
)


def _of_a_trial() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["study", "trial"], ["trials.study", "trials.number"])


attempts = Table(
    "attempts",
    metadata,
    Column("study", Integer, primary_key=True),
    Column("trial", Integer, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("job", Text, nullable=False),
    Column("started", Text, nullable=False),
    Column("ended", Text),
    Column("reason", Text),
    Column("detail", Text, nullable=False),
    _of_a_trial(),
)

epochs = Table(
    "epochs",
    metadata,
    Column("study", Integer, primary_key=True),
    Column("trial", Integer, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("repeat", Integer, primary_key=True),
    Column("fold", Integer, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("train_loss", Float),  # NULL for NaN, which SQLite cannot hold
    Column("seconds", Float, nullable=False),
    _of_a_trial(),
)

predictions = Table(
    "predictions",
    metadata,
    Column("study", Integer, primary_key=True),
    Column("trial", Integer, primary_key=True),
    Column("repeat", Integer, primary_key=True),
    Column("images", Integer, nullable=False),
    Column("classes", Integer, nullable=False),
    Column("log_probs", LargeBinary, nullable=False),  # zlib of little-endian float32, (images, classes)
    _of_a_trial(),
)

confirmations = Table(
    "confirmations",
    metadata,
    Column("study", Integer, primary_key=True),
    Column("trial", Integer, primary_key=True),
    Column("repeat", Integer, primary_key=True),
    Column("score", Float),
    Column("fold_scores", JSON, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("reason", Text),
    Column("detail", Text, nullable=False),
    _of_a_trial(),
)

files = Table(
    "files",
    metadata,
    Column("study", ForeignKey("studies.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("study", ForeignKey("studies.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("data", JSON, nullable=False),
)
