"""The documentation as a site: pages of Markdown, a reference from the docstrings, llms.txt."""
