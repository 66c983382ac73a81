"""The command `rqz`: all programs of this project under one name."""
