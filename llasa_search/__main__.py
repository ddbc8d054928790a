"""`python -m llasa_search` is `llasa-search`."""

from llasa_search.cli.main import main

if __name__ == "__main__":
    main()
