"""Where jobs run: worker processes, one a device; results come back as checked lines."""
