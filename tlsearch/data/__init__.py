"""From files on disk to checked labels, decoded pixels, splits and views."""
