"""Media files in and out; the one room that knows PyAV."""
