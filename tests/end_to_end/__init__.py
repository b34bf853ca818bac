"""The whole as a user sees it: a spec in a folder, the command line, and what is on disk afterwards."""
