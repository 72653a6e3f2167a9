"""The command line of avalign."""
