"""The prefix cache: what the frozen part of a network says of each picture, computed once and kept on disk."""
