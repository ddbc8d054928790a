"""Files: run folders, writing that is whole or not at all, and reading what others may have written."""
