"""What each section says, grouped as a person asks: the answer, its mistakes, the search, the data, the run."""
