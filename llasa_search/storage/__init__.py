"""Files: run folders, atomic writing, and reading of files that others may have written."""
