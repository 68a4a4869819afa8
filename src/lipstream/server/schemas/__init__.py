"""The JSON messages of the API, with examples for the documentation."""
