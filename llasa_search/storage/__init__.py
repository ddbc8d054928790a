"""Files: run folders, and writing that is whole or not at all."""
