"""First-party plugins: one file a family; they import nothing of ours but `tlsearch`."""
