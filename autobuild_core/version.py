"""The version of the project, which runs and reports record."""

VERSION = "0.1.0"
