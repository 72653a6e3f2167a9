"""Open media files, and read their pictures and sound with the times they are shown."""
