"""Runs `llasa-search`, as `python -m llasa_search`."""

from llasa_search.cli.main import main

if __name__ == "__main__":
    main()
