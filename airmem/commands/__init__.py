"""One file for each subcommand, thin: options, question, view, render. Files with an underscore are no commands."""
