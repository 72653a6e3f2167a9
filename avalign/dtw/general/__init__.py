"""The engine for every step pattern, weight, window, open end and cost."""
